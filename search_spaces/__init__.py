"""Search spaces: one file, one thing to tune."""
