"""How much of the longest tests runs: `make test-long` runs all of it, CI a third, to stay within its time."""

import os

EVERY = int(os.environ.get("TAGGER_EVERY", "1"))
"""Every how many faults, races or schedules one is run."""
