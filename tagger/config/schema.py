"""The JSON Schema of a settings file, for editors; it follows from the settings."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from tagger.config.settings import LINE_KEYS, POLICY, POLICY_KEYS, TABLES, Settings

_TABLE = {"type": "object", "additionalProperties": False}


def schema() -> dict[str, Any]:
    """Describe `tagger.toml`, or what is below `[tool.tagger]`."""
    keys = {each.name: _described(each.metadata, each.default) for each in fields(Settings)}
    of_line = {name: keys[name] for name in LINE_KEYS}
    keys["lines"]["additionalProperties"] = {**_TABLE, "properties": of_line}
    table = {**_TABLE, "properties": keys}
    tables = {
        name: {"type": "object", "description": about, "additionalProperties": table} for name, about in TABLES.items()
    }
    match = {"type": "string", "minLength": 1, "description": "A pattern of whole names, such as */platform/*."}
    policy = {
        **_TABLE,
        "properties": {"match": match, **{name: keys[name] for name in POLICY_KEYS}},
        "required": ["match"],
    }
    about = "Settings for all repositories that match a pattern. The last policy that matches wins."
    policies = {POLICY: {"type": "array", "description": about, "items": policy}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",  # the key that TOML editors read
        "title": "The settings of tagger",
        **table,
        "properties": {**keys, **tables, **policies},
    }


def _described(metadata: Any, default: Any) -> dict[str, Any]:
    shown = dict(default) if metadata["kind"].schema.get("type") == "object" else default
    given = {} if default is None else {"default": [*shown] if isinstance(shown, tuple) else shown}
    return {"description": metadata["about"], **metadata["kind"].schema, **given}
