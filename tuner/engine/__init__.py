"""The body: Ray runs the trials, the journal records them, the search decides."""
