"""Settings in the environment: `TAGGER_PREFIX` and the like."""

from __future__ import annotations

from collections.abc import Mapping

from tagger.config.settings import KEYS, KINDS, Given

_VARIABLES = {"registries": "TAGGER_REGISTRY", "variants": "TAGGER_VARIANT", "auth_hosts": "TAGGER_AUTH_HOST"}


def variable(key: str) -> str:
    """The name of the variable of a setting."""
    return _VARIABLES.get(key, f"TAGGER_{key.upper()}")


def from_environment(environment: Mapping[str, str]) -> Given:
    """Read lists with commas between, aliases as `name=line`, and true or false."""
    said = {key: text for key in KEYS if (text := environment.get(variable(key), "").strip())}
    values = Given()
    for key, text in said.items():
        items = tuple(item.strip() for item in text.split(",") if item.strip())
        values[key] = KINDS[key].worded(text, items, variable(key))
    return values
