"""Placements: parsed once at the edge, and passed as values to the report."""

from __future__ import annotations

from tagger.names import Repository
from tagger.rules.scheme import Scheme
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Placement:
    """An image, by the name that the user gave it, and the repository and scheme under which it is released."""

    image: str
    repository: Repository
    scheme: Scheme
