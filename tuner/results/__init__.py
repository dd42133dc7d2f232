"""What a run's journal amounts to: typed tables, the winner, and reports for people."""
