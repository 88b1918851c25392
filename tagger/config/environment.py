"""Settings in the environment: `TAGGER_PREFIX` and the like."""

from __future__ import annotations

from collections.abc import Mapping

from tagger.config.nearest import nearest
from tagger.config.settings import KEYS, KINDS, Given
from tagger.errors import InputError
from tagger.text import printable

_BEGIN = "TAGGER_"
_ALIKE = 0.8  # finds one wrong letter, but leaves TAGGER_REGISTRY_USER to others
_VARIABLES = {"registries": "TAGGER_REGISTRY", "variants": "TAGGER_VARIANT", "auth_hosts": "TAGGER_AUTH_HOST"}
PASSED_ON = frozenset(_BEGIN + name for name in ("OUTCOME", "VERSION", "DIGEST", "TAGS", "REFERENCE", "REFERENCES"))
"""The variables that tagger sets for other programs after a release; later jobs of the pipeline still have them."""


def variable(key: str) -> str:
    """The name of the variable of a setting."""
    return _VARIABLES.get(key, f"{_BEGIN}{key.upper()}")


def from_environment(environment: Mapping[str, str]) -> Given:
    """Read lists separated by commas, commands one per line, aliases as `name=line`, and true or false.

    Raises InputError for a wrong value, and for an unknown variable that is spelled like one of these.
    """
    _check_names([name for name, text in environment.items() if name.startswith(_BEGIN) and text.strip()])
    said = {key: text for key in KEYS if (text := environment.get(variable(key), "").strip())}
    if _in_a_gate(environment):
        said.pop("repository", None)
    values = Given()
    for key, text in said.items():
        if items := tuple(item.strip() for item in text.split(",") if item.strip()):
            values[key] = KINDS[key].worded(text, items, variable(key))
    return values


def _in_a_gate(environment: Mapping[str, str]) -> bool:
    """Whether this runs in a gate or after a release, where TAGGER_REPOSITORY names the released repository."""
    repository, reference = environment.get(variable("repository"), ""), environment.get("TAGGER_REFERENCE", "")
    return reference.startswith(f"{repository}@")


def _check_names(names: list[str]) -> None:
    """Refuse a misspelt variable, and the key of a setting whose variable has another name."""
    known = {spelt.removeprefix(_BEGIN): variable(key) for key in KEYS for spelt in (key.upper(), variable(key))}
    for name in sorted({*names} - PASSED_ON - {*known.values()}):
        if near := nearest(name.removeprefix(_BEGIN), known, _ALIKE):
            raise InputError(
                f"{printable(name)} in the environment is not a setting",
                f"did you mean {known[near]}? If not, unset it",
            )
