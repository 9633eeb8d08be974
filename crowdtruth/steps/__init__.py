"""The steps of a run: each computes its tables from the study, the options and the tables of earlier steps."""
