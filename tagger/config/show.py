"""The settings in force, as TOML and as JSON."""

from __future__ import annotations

import json
from typing import Any

from tagger.config.check import Verdict
from tagger.config.schema import schema
from tagger.config.settings import Config, Settings
from tagger.config.toml import toml
from tagger.text import counted, in_lines, neutral_json, printable


def as_text(config: Config) -> str:
    """Show the settings in force as TOML, each value with its source."""
    values = [(o.key, _value(o.key, config.settings), printable(o.source)) for o in config.origins]
    shown = [(f"{key} = {toml(value)}", source) for key, value, source in values if value is not None]
    width = max(len(text) for text, _ in shown)
    return in_lines(f"{text:<{width}}  # {source}" for text, source in shown)


def as_content(config: Config) -> dict[str, Any]:
    """Return the settings in force as a JSON object: {"file", "image", "settings": {key: {"value", "source"}}}."""
    settings = {o.key: {"value": _value(o.key, config.settings), "source": o.source} for o in config.origins}
    return {"file": str(config.file) if config.file else None, "image": config.image, "settings": settings}


def schema_as_json() -> str:
    """Show the JSON Schema of a settings file."""
    return neutral_json(json.dumps(schema(), indent=2))


def verdict_as_text(verdict: Verdict) -> str:
    """Say that a file has no problems, and for how many images."""
    return in_lines([f"{printable(verdict.file)}: no problem, {counted(len(verdict.images), 'image')}"])


def verdict_as_content(verdict: Verdict) -> dict[str, Any]:
    """Return the result of a check as a JSON object: {"file", "images", "ok", "problems"}."""
    problems = [str(each) for each in verdict.problems]
    return {"file": str(verdict.file), "images": verdict.images, "ok": not problems, "problems": problems}


def _value(key: str, settings: Settings) -> object:
    return _plain(key, getattr(settings, key))


def _plain(key: str, value: Any) -> object:
    """A value as the file has it, where pairs are a table."""
    if key == "lines":
        return {name: {each: _plain(each, said) for each, said in line.items()} for name, line in value}
    return dict(value) if key == "aliases" else value
