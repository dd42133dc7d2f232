"""Clusters to run on: what must exist before `ray up`, and the files of the kinds other than AWS."""
