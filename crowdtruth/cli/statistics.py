"""Commands on labels and ratings: agree, accuracy, simulate, plan, report."""
