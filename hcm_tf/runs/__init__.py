"""Runs: an experiment, its directory, and what happens around its steps."""
