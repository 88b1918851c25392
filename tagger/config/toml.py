"""How TOML spells keys and values, each in one line."""

from __future__ import annotations

import json
import re

from tagger.text import neutral_json

_BARE = re.compile("[A-Za-z0-9_-]+")


def key(name: str) -> str:
    """Write a key, in quotes if it needs them.

    >>> key("gallery"), key("gallery/ui")
    ('gallery', '"gallery/ui"')
    """
    return name if _BARE.fullmatch(name) else toml(name)


def toml(value: object) -> str:
    """Write a value of the settings in one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml(name)} = {toml(line)}" for name, line in value.items()) + " }"
    return neutral_json(json.dumps(value))
