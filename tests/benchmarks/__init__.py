"""Measurements that back the claims of the documentation; each is a command that prints JSON."""
