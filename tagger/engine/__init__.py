"""The Docker Engine: its client and what a push reports."""
