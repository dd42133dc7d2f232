"""The brains: which configuration to try next, and which trial to stop. No Ray, no torch."""
