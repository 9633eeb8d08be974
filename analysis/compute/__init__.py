"""Slow steps: each gives tidy tables, from which figures are drawn."""
