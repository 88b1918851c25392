"""The kinds of values of settings: in TOML, in the environment, and in JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tagger.errors import InputError
from tagger.rules.git_tag import GitTag
from tagger.rules.keep import parse_age
from tagger.rules.template import LONGEST_NUMBER
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: `typed` reads it from TOML, `worded` from the environment, `schema` describes it in TOML."""

    typed: Callable[[object, str, str], object]
    worded: Callable[[str, tuple[str, ...], str], object]
    schema: Mapping[str, object]


def wrong(label: str, key: str, allowed: str) -> InputError:
    """Return the error for a value of the wrong kind."""
    return InputError(label, f"{key} takes {allowed}")


def _text(value: object, label: str, key: str) -> str:
    if not isinstance(value, str):
        raise wrong(label, key, "a string")
    return value


def _texts(value: object, label: str, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise wrong(label, key, "a list of strings")
    return tuple(value)


def choice(*allowed: str) -> Kind:
    """One of some words."""

    def typed(value: object, label: str, key: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise wrong(label, key, f"one of {', '.join(allowed)}")
        return value

    return Kind(typed, lambda text, _, name: typed(text, "the environment", name), {"enum": [*allowed]})


def choices(*allowed: str) -> Kind:
    """A list of some words."""

    def typed(value: object, label: str, key: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) and item in allowed for item in value):
            raise wrong(label, key, f"a list of {', '.join(allowed)}")
        return tuple(value)

    def worded(_: str, items: tuple[str, ...], name: str) -> tuple[str, ...]:
        return typed([*items], "the environment", name)

    return Kind(typed, worded, {"type": "array", "items": {"enum": [*allowed]}})


def _number(value: object, label: str, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise wrong(label, key, "a number of at least 1")
    return value


def _worded_number(text: str, _: tuple[str, ...], name: str) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER
    return _number(int(text) if is_number else None, "the environment", name)


def _age(value: object, label: str, key: str) -> str:
    text = _text(value, label, key)
    try:
        parse_age(text)
    except InputError:
        raise wrong(label, key, "days, such as 180d") from None
    return text


def _flag(value: object, label: str, key: str) -> bool:
    if not isinstance(value, bool):
        raise wrong(label, key, "true or false")
    return value


def _pairs(value: object, label: str, key: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(isinstance(line, str) for line in value.values()):
        raise wrong(label, key, 'a table of strings, such as { lts = "24" }')
    return tuple(value.items())


def _worded_flag(text: str, _: tuple[str, ...], name: str) -> bool:
    if text not in {"true", "false"}:
        raise wrong("the environment", name, "true or false")
    return text == "true"


def _worded_pairs(_: str, items: tuple[str, ...], name: str) -> tuple[tuple[str, str], ...]:
    pairs = [(key.strip(), line.strip()) for key, _, line in (item.partition("=") for item in items)]
    if not all(key and line for key, line in pairs):
        raise wrong("the environment", name, "name=line with commas between, such as lts=24,stable=1.30")
    return tuple(pairs)


def _form(value: object, label: str, key: str) -> str:
    text = _text(value, label, key)
    try:
        return str(GitTag.parse(text))
    except InputError:
        raise wrong(label, key, "a text with {version} in it once, such as gallery/v{version}") from None


_STRING = {"type": "string"}
TEXT = Kind(_text, lambda text, _, __: text, _STRING)
TEXTS = Kind(_texts, lambda _, items, __: items, {"type": "array", "items": _STRING})
FLAG = Kind(_flag, _worded_flag, {"type": "boolean"})
NUMBER = Kind(_number, _worded_number, {"type": "integer", "minimum": 1})
AGE = Kind(
    _age, lambda text, _, name: _age(text, "the environment", name), {**_STRING, "pattern": "^[1-9][0-9]{0,4}d$"}
)
PAIRS = Kind(_pairs, _worded_pairs, {"type": "object", "additionalProperties": _STRING})
GIT_TAG = Kind(
    _form,
    lambda text, _, name: _form(text, "the environment", name),
    {**_STRING, "pattern": r"^[^{}]*\{version\}[^{}]*$"},
)
COMMANDS = Kind(
    _texts,
    lambda text, _, __: tuple(line.strip() for line in text.splitlines() if line.strip()),
    {"type": "array", "items": _STRING},
)
