"""The record of a run: an append-only event log of which everything else is a projection."""
