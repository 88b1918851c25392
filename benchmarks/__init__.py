"""Measure tagger against the commands that it replaces: `make bench`."""
