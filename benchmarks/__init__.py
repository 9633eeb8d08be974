"""The speed table: one command, peers beside us in the same run."""
