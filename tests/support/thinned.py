"""How much of the longest tests runs: `make test` runs a sample, `make test-long` all of it, CI a third of that."""

import os
import zlib

EVERY = int(os.environ.get("TAGGER_EVERY", "1"))
"""One of this many faults, races or schedules is run."""

EXAMPLES = int(os.environ.get("TAGGER_EXAMPLES", "20"))
"""How many examples a property test tries, unless it sets its own number."""

_TALKS_TO_SERVICES = (
    "tests/faults/",
    "tests/hosts/",
    "tests/real/",
    "tests/project/test_docs.py::test_a_page_does_what_it_shows",
    "tests/project/test_examples.py",
)
_ONE_OF = 4


def is_variation(test: str, number: int, of: int) -> bool:
    """Whether `make test` leaves a variation of a test to `make test-long`; `number` is its place among all `of` them.

    Of the variations of a test that talks to services, one of four runs, and which ones differs from test to test.
    """
    first = zlib.crc32(test.encode()) % min(_ONE_OF, of)
    return test.startswith(_TALKS_TO_SERVICES) and number % _ONE_OF != first
