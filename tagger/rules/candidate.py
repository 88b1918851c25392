"""Candidates: the pre-releases under which images wait for their gates. No floating tag follows them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from tagger.names import Digest
from tagger.rules.version import Version

_CANDIDATE = re.compile(r"(?:^|-)candidate\.[0-9a-f]{12,}$")
_SPELT = re.compile(r"(.+)-(candidate\.[0-9a-f]{12,})", re.DOTALL)
_LENGTH = 12


def candidate(version: Version, digest: Digest) -> Version:
    """Return the version under which an image waits: a pre-release with the beginning of a digest.

    >>> digest = Digest("sha256:" + "0123456789ab" + "0" * 52)
    >>> str(candidate(Version.parse("2.1.106"), digest)), str(candidate(Version.parse("2.2.0-rc.1"), digest))
    ('2.1.106-candidate.0123456789ab', '2.2.0-rc.1-candidate.0123456789ab')

    SemVer allows no number that begins with a zero, so such a beginning is extended up to a letter.

    >>> str(candidate(Version.parse("2.1.106"), Digest("sha256:" + "012345678901" + "2a" + "0" * 50)))
    '2.1.106-candidate.0123456789012a'
    """
    spelt = digest.partition(":")[2]
    length = _LENGTH
    while spelt.startswith("0") and spelt[:length].isdigit() and length < len(spelt):
        length += 1
    return _waiting(version, f"candidate.{spelt[:length]}")


def candidate_in(text: str, read: Callable[[str], Version | None]) -> Version | None:
    """Return the candidate that a text spells; None if it spells none. `read` parses its version."""
    found = _SPELT.fullmatch(text)
    version = read(found[1]) if found else None
    return _waiting(version, found[2]) if found and version else None


def _waiting(version: Version, name: str) -> Version:
    prerelease = f"{version.prerelease}-{name}" if version.prerelease else name
    return replace(version, text=f"{version}-{name}", prerelease=prerelease)


def is_candidate(version: Version) -> bool:
    """Return whether a version is a candidate, under which an image waits for its gates.

    >>> [is_candidate(Version.parse(f"2.2.0-{text}")) for text in ("candidate.0123456789ab", "candidate.1", "rc.1")]
    [True, False, False]
    """
    return bool(version.prerelease and _CANDIDATE.search(version.prerelease))
