"""The options of the command line, each written once. Options that belong together form a group.

A command takes a whole group as one parameter: `command` turns the group's fields into options.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Annotated, Any

import typer

from tagger.cli import offer
from tagger.cli.render.console import say, verbose_asked
from tagger.values import dataclass

PANELS = TARGET, TAGS, SAFETY, MANY, CI, OUTPUT = "Target", "Tags", "Safety", "Many repositories", "CI", "Output"
"""The sections in which the help shows options."""


def option(panel: str | None, text: str, *names: str, one_of: Sequence[str] = (), **more: Any) -> Any:
    """An option, the section of the help that shows it, and its help; shells complete the words of `one_of`."""
    if one_of:
        more = {"metavar": "|".join(one_of), "autocompletion": offer.one_of(*one_of), **more}
    return typer.Option(*names, help=text, rich_help_panel=panel, **more)


def named(text: str, metavar: str) -> Any:
    """An argument that may be an image in the settings; shells complete the names of those."""
    return typer.Argument(metavar=metavar, help=text, autocompletion=offer.tables)


_PLACE = "Such as registry.local:5000/gallery/ui. An image in the settings means all of its repositories"
_STDIN = f"{_PLACE}; - reads repositories from stdin."
RepositoryArgument = Annotated[str, named(f"{_PLACE}.", "REPOSITORY")]
RepositoriesArgument = Annotated[str | None, named(_STDIN, "REPOSITORY")]
PerhapsRepository = Annotated[str | None, named(f"{_STDIN} Default: every image in the settings.", "[REPOSITORY]")]

Texts = list[str] | None
DryRun = Annotated[bool, option(SAFETY, "Show what would happen, and change nothing.", "--dry-run")]
Json = Annotated[bool, option(OUTPUT, "Print one JSON object on stdout.", "--json")]
Field = Annotated[
    str | None,
    option(
        OUTPUT,
        "Print only this field of the JSON object, such as digest or versions.tag, one value per line.",
        "--field",
        metavar="NAME",
    ),
]
BuildMetadata = Annotated[
    str,
    option(
        TAGS, "What to do with +build metadata, which a tag cannot hold. Default: refuse.", one_of=("refuse", "drop")
    ),
]
Verbose = Annotated[
    bool,
    option(
        OUTPUT,
        "Show every request with its timing on stderr, and a traceback if tagger itself fails. No credentials.",
        "--verbose",
        "-v",
    ),
]
Plan = Annotated[
    str | None,
    option(
        MANY,
        "Write the planned changes to a file for tagger apply, instead of making them.",
        "--plan",
        metavar="FILE",
    ),
]


def words(group: Any) -> dict[str, Any]:
    """Return the given options of a group, by their names in the Python API."""
    values = {field.name: getattr(group, field.name) for field in fields(group)}
    return {name: value for name, value in values.items() if value is not None and name != "verbose"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How versions are spelled as tags."""

    variant: Annotated[
        Texts,
        option(
            TAGS,
            "A variant: its tags end in -NAME. 'default' is the one without a suffix. Repeatable.",
            metavar="NAME",
        ),
    ] = None
    prefix: Annotated[str | None, option(TAGS, "Text before the version in every tag, such as v.", metavar="TEXT")] = (
        None
    )
    line: Annotated[
        str | None,
        option(
            TAGS,
            "A line of versions in the settings; 'default' is the one at the top. Without it, release, promote, tags"
            " and next use that one, and other commands use all.",
            metavar="NAME",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach registries."""

    insecure: Annotated[
        Texts,
        option(
            TARGET, "Allow plain HTTP and unverified certificates for this registry. Repeatable.", metavar="HOST[:PORT]"
        ),
    ] = None
    auth_host: Annotated[
        Texts,
        option(
            TARGET, "Trust this token server, although it is not on the registry's host. Repeatable.", metavar="HOST"
        ),
    ] = None
    verbose: Verbose = False

    @property
    def trace(self) -> Callable[[str], None] | None:
        """Return the function that shows a line for every request; None without --verbose."""
        return say if self.verbose or verbose_asked() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which other repositories a command is about, how to reach all of them, and how to read their tags."""

    also: Annotated[
        Texts,
        option(
            TARGET, "Another repository that should hold the same versions. Repeatable.", "--also", metavar="REPOSITORY"
        ),
    ] = None
    access: Access
    rules: Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """Whether a command writes or only shows its changes, and how it reports."""

    dry_run: DryRun = False
    as_json: Json = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Removing(Writing):
    """The same for a command that removes tags, and whether it asks first."""

    yes: Annotated[bool, option(SAFETY, "Skip the confirmation. Required without a terminal.", "--yes", "-y")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Many:
    """A command on many repositories."""

    listed: Annotated[
        str | None,
        option(
            MANY,
            "Read repositories from a file, one per line. Blank lines and # comments are ignored.",
            "--from",
            metavar="FILE",
        ),
    ] = None
    json_lines: Annotated[
        bool, option(MANY, "Print one line of JSON for each repository, as soon as it is done.", "--json-lines")
    ] = False
    resume: Annotated[
        str | None,
        option(MANY, "Append the JSON lines to a file, and skip repositories that are already in it.", metavar="FILE"),
    ] = None
    jobs: Annotated[
        int | None, option(MANY, "How many repositories to work on at once. Default: 8.", metavar="N", min=1, max=256)
    ] = None
    rate: Annotated[
        Texts,
        option(
            MANY,
            "Limit the requests to a registry and its token server, for all shards together: N/s, N/m or N/h."
            " Repeatable.",
            metavar="HOST=N/s",
        ),
    ] = None
    shard: Annotated[
        str | None,
        option(MANY, "Work on one of N parts of the repositories, counted from 0, such as 3/20.", metavar="I/N"),
    ] = None
    timeout: Annotated[
        float | None,
        option(
            MANY,
            "Stop after this time, which includes putting tags back. Exit with 8 if repositories are left.",
            metavar="SECONDS",
        ),
    ] = None
    metrics: Annotated[
        str | None, option(MANY, "Write metrics to a file, in Prometheus text format.", metavar="FILE")
    ] = None
