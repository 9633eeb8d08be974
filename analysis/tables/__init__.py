"""Tables to read: the statistical tests, and the paper's printed values beside ours."""
