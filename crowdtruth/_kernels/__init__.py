"""Compiled loops on plain arrays: no checks, no tables, no options (numpy and numba only)."""
