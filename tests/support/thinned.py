"""How much of the longest tests runs: `make test` runs a sample, `make test-long` all of it, CI a third of that."""

import os

EVERY = int(os.environ.get("TAGGER_EVERY", "1"))
"""Every how many faults, races or schedules one is run."""

EXAMPLES = int(os.environ.get("TAGGER_EXAMPLES", "20"))
"""How many examples a property test tries, unless it sets its own number."""
