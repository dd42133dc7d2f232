"""The view of a run that keeps itself up to date: what is known, what is drawn of it, and where."""
