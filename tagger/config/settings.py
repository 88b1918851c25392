"""The settings: each is a field here, with the kind of value that it takes; the rest of this folder works by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from tagger.config.kinds import COMMANDS, FLAG, GIT_TAG, PAIRS, TEXT, TEXTS, Kind, choice, choices
from tagger.errors import InputError
from tagger.rules.scheme import Scheme, lines
from tagger.rules.spelling import DEFAULT_VARIANT
from tagger.rules.version import parse_version

DEFAULT, COMMAND_LINE = "default", "command line"

Given = dict[str, Any]
"""What one place says: the values of some settings by their keys."""


def _setting(kind: Kind, default: Any, about: str) -> Any:
    return field(default=default, metadata={"kind": kind, "about": about})


@dataclass(frozen=True, slots=True)
class Settings:
    """What is in force: each field is a key of the file."""

    registries: tuple[str, ...] = _setting(TEXTS, (), "The registries to release to.")
    repository: str | None = _setting(TEXT, None, "The path of the repository. Default: that of the image.")
    variants: tuple[str, ...] = _setting(
        TEXTS, (DEFAULT_VARIANT,), "The variants to release. Tags of a variant end in -NAME; default has no suffix."
    )
    prefix: str = _setting(TEXT, "", "Text before the version in every tag, such as v.")
    floats: tuple[str, ...] = _setting(TEXTS, Scheme().floats, "The templates of the floating tags.")
    aliases: tuple[tuple[str, str], ...] = _setting(
        PAIRS, (), "Floating tags that follow one series of versions, such as lts of 24 or stable of 1.30."
    )
    channels: tuple[str, ...] = _setting(
        TEXTS, (), "Pre-release labels with a floating tag: rc follows the highest of all stable versions and rc's."
    )
    ignore: tuple[str, ...] = _setting(TEXTS, (), "Mistaken versions, which get no floating tag.")
    zero_major: bool = _setting(FLAG, False, "Give 0.2.0 the tag 0 too.")
    floats_via: str = _setting(
        choice("engine", "registry"), "engine", "How floating tags move: the Engine pushes them, or the registry does."
    )
    auth_hosts: tuple[str, ...] = _setting(TEXTS, (), "Token servers on another host than their registry.")
    git_tag: str | None = _setting(
        GIT_TAG, None, "The git tags that count for the version git, such as gallery/v{version}. Default: all."
    )
    gates: tuple[str, ...] = _setting(COMMANDS, (), "Commands that judge the image before any tag moves.")
    require: tuple[str, ...] = _setting(
        choices("signature", "provenance", "sbom"), (), "Evidence that has to be there before any tag moves."
    )
    after: tuple[str, ...] = _setting(COMMANDS, (), "Commands that run after a release.")


KINDS: Mapping[str, Kind] = {each.name: each.metadata["kind"] for each in fields(Settings)}
KEYS = tuple(KINDS)
TABLES: Mapping[str, str] = {"images": "The images of this repository. These keys replace those at the top."}
"""The tables of tables: each table in one has a name of its own, and the same keys as the file's top."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the value of a key comes from."""

    key: str
    source: str


@dataclass(frozen=True, slots=True)
class Config:
    """The settings in force, where each comes from, the file and its image (None: none), and all variants it names.

    Unless the command line or the environment names the variants, `tables` are those that the image selects, and
    `sharing` all tables of its repository.
    """

    settings: Settings
    origins: tuple[Origin, ...]
    file: Path | None
    image: str | None
    known: tuple[str, ...]
    tables: tuple[str, ...] = ()
    sharing: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Name the places that values come from, each once; the defaults are none."""
        return tuple(dict.fromkeys(o.source for o in self.origins if o.source != DEFAULT))

    def schemes(self) -> tuple[Scheme, ...]:
        """The scheme of every variant to release or to read, in the order of `variants`.

        Raises InputError, naming where the values come from.
        """
        found = self.settings
        try:
            scheme = Scheme(
                floats=found.floats,
                prefix=found.prefix,
                aliases=found.aliases,
                channels=found.channels,
                zero_major=found.zero_major,
            )
            return lines(_ignoring(scheme, found.ignore), found.variants, self.known)
        except InputError as error:
            sources = [source for source in self.sources if source != COMMAND_LINE]
            raise type(error)(f"{error} (settings of {', '.join(sources)})" if sources else str(error)) from None


def _ignoring(scheme: Scheme, texts: Iterable[str]) -> Scheme:
    """Ignore versions, and tags that are nearly versions. Raises InvalidVersion for what is neither."""
    tags = frozenset(text for text in texts if scheme.nearly(text))
    versions = frozenset(parse_version(text, build_metadata="drop") for text in texts if text not in tags)
    return replace(scheme, ignore=versions, ignored_tags=tags)
