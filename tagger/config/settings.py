"""The settings: each is a field here, with its kind of value. The rest of this folder follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, fields, replace
from pathlib import Path
from typing import Any, NoReturn

from tagger.config.kinds import AGE, COMMANDS, FLAG, GIT_TAG, NUMBER, PAIRS, TEXT, TEXTS, Kind, choice, choices, wrong
from tagger.config.nearest import unknown
from tagger.errors import InputError
from tagger.rules.lines import apart, lines
from tagger.rules.numbering import Numbering
from tagger.rules.scheme import Scheme
from tagger.rules.spelling import DEFAULT_VARIANT
from tagger.text import printable
from tagger.values import dataclass

DEFAULT, COMMAND_LINE = "default", "command line"
DEFAULT_LINE = "default"
"""The name of the line whose rules are at the top of the file or of an image's table."""

Given = dict[str, Any]
"""The values of some settings from one source, by their keys."""


def _setting(kind: Kind, default: Any, about: str) -> Any:
    return field(default=default, metadata={"kind": kind, "about": about})


def _typed_lines(value: object, label: str, key: str) -> tuple[tuple[str, Given], ...]:
    if not isinstance(value, dict) or not all(isinstance(line, dict) for line in value.values()):
        raise wrong(label, key, "a table for each line, such as [lines.edge]")
    if DEFAULT_LINE in value:
        raise InputError(f"{label}: {key}.{DEFAULT_LINE} is the line at the top", "give this one another name")
    return tuple((name, _one_line(line, label, f"{key}.{printable(name)}.")) for name, line in value.items())


def _one_line(line: Mapping[str, object], label: str, where: str) -> Given:
    for key in line:
        if key not in LINE_KEYS:
            raise unknown(f"{label} has an unknown key {where}{printable(key)}", key, LINE_KEYS, KEYS)
    return {key: KINDS[key].typed(value, label, where + key) for key, value in line.items()}


def _no_lines(_: str, __: tuple[str, ...], name: str) -> NoReturn:
    raise InputError(f"{name} is not a variable that tagger reads", "define lines in the settings file")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force; each field is a key of the file."""

    registries: tuple[str, ...] = _setting(TEXTS, (), "The registries to release to.")
    repository: str | None = _setting(TEXT, None, "The path of the repository. Default: the one in the image's name.")
    source: str | None = _setting(
        TEXT,
        None,
        "The image that promote --all releases. It may contain {version} and {revision}, the commit at HEAD.",
    )
    variants: tuple[str, ...] = _setting(
        TEXTS, (DEFAULT_VARIANT,), "The variants to release. Tags of a variant end in -NAME; default has no suffix."
    )
    prefix: str = _setting(TEXT, "", "Text before the version in every tag, such as v.")
    floats: tuple[str, ...] = _setting(TEXTS, Scheme().floats, "Templates for the floating tags.")
    aliases: tuple[tuple[str, str], ...] = _setting(
        PAIRS, (), "Floating tags that follow one series of versions, such as lts for 24 or stable for 1.30."
    )
    channels: tuple[str, ...] = _setting(
        TEXTS, (), "Pre-release labels with a floating tag: rc follows the highest stable version or rc."
    )
    ignore: tuple[str, ...] = _setting(TEXTS, (), "Versions published by mistake, which get no floating tag.")
    zero_major: bool = _setting(FLAG, False, "Also give 0.2.0 the tag 0.")
    versions: str = _setting(TEXT, "", "Template for versions, such as main-{n}. Default: semantic versions.")
    revisions: str = _setting(TEXT, "", "Template for rebuilds of a version, such as -r{n}. Default: none.")
    lines: tuple[tuple[str, Given], ...] = _setting(
        Kind(_typed_lines, _no_lines, {"type": "object"}),
        (),
        "More lines of versions in the same repository, each with its own rules for tags.",
    )
    line: str | None = _setting(TEXT, None, "The name of the line to release in. Default: the one at the top.")
    floats_via: str = _setting(
        choice("engine", "registry"),
        "engine",
        "How floating tags move: engine pushes them, registry writes them directly.",
    )
    auth_hosts: tuple[str, ...] = _setting(TEXTS, (), "Trusted token servers that are not on their registry's host.")
    git_tag: str | None = _setting(
        GIT_TAG, None, "Which git tags count for the version git, such as gallery/v{version}. Default: all."
    )
    gates: tuple[str, ...] = _setting(COMMANDS, (), "Commands to run on the image before any tag moves.")
    require: tuple[str, ...] = _setting(
        choices("signature", "provenance", "sbom"), (), "Evidence that must exist before any tag moves."
    )
    after: tuple[str, ...] = _setting(COMMANDS, (), "Commands to run after a release.")
    keep: int | None = _setting(NUMBER, None, "How many of the newest versions of each minor series prune keeps.")
    keep_minors: int | None = _setting(NUMBER, None, "How many minor series of each major version prune keeps.")
    keep_revisions: int | None = _setting(NUMBER, None, "How many rebuilds of each version prune keeps.")
    older_than: str | None = _setting(AGE, None, "prune removes only images built longer ago than this, such as 180d.")


LINE_KEYS = (
    "variants", "prefix", "floats", "aliases", "channels", "ignore", "zero_major", "versions", "revisions"
)  # fmt: skip
"""The keys of a line; a missing key has the default, but the variants are those of the image."""
LIMIT_KEYS = ("keep", "keep_minors", "keep_revisions", "older_than")
"""The keys of what prune keeps."""
KINDS: Mapping[str, Kind] = {each.name: each.metadata["kind"] for each in fields(Settings)}
KEYS = tuple(KINDS)
POLICY_KEYS = tuple(key for key in KEYS if key not in {"registries", "repository", "source", "line"})
"""The keys of a policy: all except those for the source and the target of an image."""
POLICY = "policy"
"""The key of the tables for repositories that match a pattern."""
TABLES: Mapping[str, str] = {"images": "The images of this repository. These keys replace those at the top."}
"""The tables of named tables, which have the same keys as the file's top."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Return the source of a key's value."""

    key: str
    source: str


@dataclass(frozen=True, slots=True)
class Config:
    """The settings in force and their sources, the file and its image (None: none), and all variants of the file.

    Unless the command line or the environment names the variants, `tables` are those that the image selects, and
    `sharing` all tables of its repository. If they do, `variants` are those, for every line.
    """

    settings: Settings
    origins: tuple[Origin, ...]
    file: Path | None
    image: str | None
    known: tuple[str, ...]
    variants: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    sharing: tuple[str, ...] = ()

    @property
    def limits(self) -> Given:
        """What prune keeps, as far as the settings define it."""
        values = {key: getattr(self.settings, key) for key in LIMIT_KEYS}
        return {key: value for key, value in values.items() if value is not None}

    @property
    def sources(self) -> tuple[str, ...]:
        """Name the sources of the values, each once; defaults have none."""
        return tuple(dict.fromkeys(o.source for o in self.origins if o.source != DEFAULT))

    def schemes(self) -> tuple[Scheme, ...]:
        """Return the scheme of every variant of the named line, or else of the one at the top, for a release.

        Raises InputError, naming where the values come from.
        """
        lines = self._lines()
        name = self.settings.line or DEFAULT_LINE
        if name not in lines:
            raise InputError(
                f"there is no line '{printable(name)}'", f"the lines are {', '.join(map(printable, lines))}"
            )
        return lines[name]

    def all_schemes(self) -> tuple[Scheme, ...]:
        """Return the schemes of every line, or of the named one, for reading and cleaning up.

        Raises what `schemes` raises.
        """
        if self.settings.line:
            return self.schemes()
        own = {name: line["variants"] for name, line in self.settings.lines if "variants" in line}
        return tuple(
            each
            for name, schemes in self._lines().items()
            for each in schemes
            if name not in own or (each.variant or DEFAULT_VARIANT) in own[name]
        )

    def _lines(self) -> dict[str, tuple[Scheme, ...]]:
        top = {key: getattr(self.settings, key) for key in LINE_KEYS}
        given = {DEFAULT_LINE: top, **dict(self.settings.lines)}
        try:
            found = [
                _line(
                    "" if name == DEFAULT_LINE else name,
                    {**line, "variants": self.variants or line.get("variants", top["variants"])},
                    (*self.known, *line.get("variants", ())),
                )
                for name, line in given.items()
            ]
            return dict(zip(given, apart(found), strict=True))
        except InputError as error:
            sources = [source for source in self.sources if source != COMMAND_LINE]
            raise type(error)(f"{error} (settings of {', '.join(sources)})" if sources else str(error)) from None


def _line(name: str, given: Given, known: Iterable[str]) -> tuple[Scheme, ...]:
    """Return the scheme of each variant of a line."""
    words = {key: value for key, value in given.items() if key not in {"variants", "ignore"}}
    scheme = Scheme(**{"floats": Numbering(given.get("versions", "")).floats, **words}, line=name)
    return lines(_ignoring(scheme, given.get("ignore", ())), given["variants"], known)


def _ignoring(scheme: Scheme, texts: Iterable[str]) -> Scheme:
    """Ignore versions, and tags that are nearly versions. Raises InvalidVersion for other texts."""
    tags = frozenset(text for text in texts if scheme.nearly(text))
    asked = scheme.numbering.asked
    versions = frozenset(asked(text, build_metadata="drop") for text in texts if text not in tags)
    return replace(scheme, ignore=versions, ignored_tags=tags)
