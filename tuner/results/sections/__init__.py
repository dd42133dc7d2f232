"""The views of a run, by what they are about; each function returns those that have something to show."""
