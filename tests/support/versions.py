"""Versions from their numbers, for properties."""

from tagger.rules.version import Version


def semver(major: int = 0, minor: int = 0, patch: int = 0, prerelease: str | None = None) -> Version:
    """The version with these numbers."""
    return Version.parse(f"{major}.{minor}.{patch}" + (f"-{prerelease}" if prerelease else ""))
