"""The options of the command line, each written once; options that belong together are one value.

A command takes a whole group as one parameter: `command` turns the group's fields into options.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from tagger.cli import offer
from tagger.cli.render.console import say, verbose_asked
from tagger.cli.render.github import annotating

PANELS = TARGET, TAGS, SAFETY, MANY, CI, OUTPUT = "Target", "Tags", "Safety", "Many repositories", "CI", "Output"
"""The sections in which the help shows options."""

RepositoryArgument = Annotated[
    str,
    typer.Argument(
        metavar="REPOSITORY",
        help="Such as registry.local:5000/gallery/ui, or an image of the settings, which means all of its registries.",
        autocompletion=offer.tables,
    ),
]
RepositoriesArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="REPOSITORY",
        help="Such as registry.local:5000/gallery/ui, or an image of the settings, which means all of its registries,"
        " or - to read repositories from stdin.",
        autocompletion=offer.tables,
    ),
]
PerhapsRepository = Annotated[
    str | None,
    typer.Argument(
        metavar="[REPOSITORY]",
        help="Such as registry.local:5000/gallery/ui, or an image of the settings, which means all of its registries,"
        " or - to read repositories from stdin. Default: every image of the settings.",
        autocompletion=offer.tables,
    ),
]
Also = Annotated[
    list[str] | None,
    typer.Option(
        "--also",
        metavar="REPOSITORY",
        help="Another repository that should hold the same. May be repeated.",
        rich_help_panel=TARGET,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would happen. Write nothing.", rich_help_panel=SAFETY)
]
Yes = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Do not ask. Required where there is no terminal.", rich_help_panel=SAFETY),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.", rich_help_panel=OUTPUT)]
Field = Annotated[
    str | None,
    typer.Option(
        "--field",
        metavar="NAME",
        help="Print only this field of the JSON object, such as digest or versions.tag, each value on a line.",
        rich_help_panel=OUTPUT,
    ),
]
BuildMetadata = Annotated[
    str,
    typer.Option(
        metavar="refuse|drop",
        autocompletion=offer.one_of("refuse", "drop"),
        help="What to do with +build metadata, which a tag cannot hold. Default: refuse.",
        rich_help_panel=TAGS,
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Show every request and its time on stderr, and tracebacks of tagger's own faults. Never a credential.",
        rich_help_panel=OUTPUT,
    ),
]


def words(group: Any) -> dict[str, Any]:
    """The options of a group that were given, by the names that the Python API has for them."""
    values = {field.name: getattr(group, field.name) for field in fields(group)}
    return {name: value for name, value in values.items() if value is not None and name != "verbose"}


Plan = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="FILE",
        help="Write nothing to a registry, and write what would be done to a file, for tagger apply.",
        rich_help_panel=MANY,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an image goes."""

    registry: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST[:PORT]",
            help="The registry. Default: the one in IMAGE, else Docker Hub. May be repeated.",
            rich_help_panel=TARGET,
        ),
    ] = None
    repository: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="The repository in the registry. Default: the one in IMAGE.", rich_help_panel=TARGET
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How versions are spelled as tags."""

    variant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A variant, whose tags end in -NAME; 'default' is the one without a suffix. May be repeated.",
            rich_help_panel=TAGS,
        ),
    ] = None
    prefix: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Text before the version in every tag, such as v.", rich_help_panel=TAGS),
    ] = None
    line: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A line of versions of the settings; 'default' is the one at the top. Commands that read take all.",
            rich_help_panel=TAGS,
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How registries are reached."""

    insecure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST[:PORT]",
            help="A registry that may be reached without TLS. May be repeated.",
            rich_help_panel=TARGET,
        ),
    ] = None
    auth_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST",
            help="A token server on another host than its registry. May be repeated.",
            rich_help_panel=TARGET,
        ),
    ] = None
    verbose: Verbose = False

    @property
    def trace(self) -> Callable[[str], None] | None:
        """What takes a line for every request; None without --verbose."""
        return say if self.verbose or verbose_asked() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Many:
    """A command on many repositories."""

    listed: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Read the repositories from a file, one a line. Blank lines and # comments do not count.",
            rich_help_panel=MANY,
        ),
    ] = None
    json_lines: Annotated[
        bool,
        typer.Option(
            "--json-lines",
            help="Print one JSON object a line on stdout, as each repository ends.",
            rich_help_panel=MANY,
        ),
    ] = False
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write the JSON lines to a file, and skip the repositories that it already has.",
            rich_help_panel=MANY,
        ),
    ] = None
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=256, help="How many repositories at once. Default: 8.", rich_help_panel=MANY
        ),
    ] = None
    rate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST=N/s",
            help="The most requests to a registry and its token server, by all shards together: N/s, N/m or N/h. May be"
            " repeated.",
            rich_help_panel=MANY,
        ),
    ] = None
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Take one of N parts of the repositories, counted from 0, such as 3/20.",
            rich_help_panel=MANY,
        ),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="End after this time, which includes putting tags back, with exit code 8 if repositories are left.",
            rich_help_panel=MANY,
        ),
    ] = None
    metrics: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write metrics to a file in Prometheus' text format.", rich_help_panel=MANY),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOptions:
    """What a release may do, and for how long."""

    build_metadata: BuildMetadata = "refuse"
    assume_newest: Annotated[
        bool,
        typer.Option(
            "--assume-newest",
            help="Move every tag of the cascade without listing the other versions.",
            rich_help_panel=TAGS,
        ),
    ] = False
    revision: Annotated[
        bool,
        typer.Option(
            "--revision",
            help="Publish a rebuild of VERSION under its next revision, such as 2.1.106-r3. Needs revisions in the"
            " settings.",
            rich_help_panel=TAGS,
        ),
    ] = False
    dry_run: DryRun = False
    force: Annotated[
        bool,
        typer.Option("--force", help="Overwrite a version that holds another image.", rich_help_panel=SAFETY),
    ] = False
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Refuse an image whose labels do not name this version and, with git, this commit.",
            rich_help_panel=SAFETY,
        ),
    ] = False
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Give up after this time, which includes putting tags back.",
            rich_help_panel=SAFETY,
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """The commands around a release."""

    gate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COMMAND",
            help="A command that judges the image in the registry before any tag moves, such as 'cosign sign"
            " {reference}'. May be repeated.",
            rich_help_panel=SAFETY,
        ),
    ] = None
    require: Annotated[
        list[str] | None,
        typer.Option(
            metavar="signature|provenance|sbom",
            autocompletion=offer.one_of("signature", "provenance", "sbom"),
            help="Evidence that has to be there before any tag moves. It is not verified: a gate can do that. May be"
            " repeated.",
            rich_help_panel=SAFETY,
        ),
    ] = None
    after: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COMMAND",
            help="A command to run once the tags have moved. If it fails, that is a warning and exit code 7. May be"
            " repeated.",
            rich_help_panel=SAFETY,
        ),
    ] = None
    gate_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="How long each --gate and --after may take. Default: 1800.", rich_help_panel=SAFETY
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where and how a release is reported."""

    summary: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Append a Markdown report, such as to $GITHUB_STEP_SUMMARY.", rich_help_panel=CI
        ),
    ] = None
    env_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Append TAGGER_VERSION, _DIGEST, _TAGS and more as NAME=VALUE lines, lists separated by commas.",
            rich_help_panel=CI,
        ),
    ] = None
    annotate: Annotated[
        bool | None,
        typer.Option(
            "--annotate/--no-annotate",
            help="Show errors and warnings as GitHub Actions annotations. Default: on in GitHub Actions.",
            rich_help_panel=CI,
        ),
    ] = None
    as_json: Json = False
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Hide progress; print only the result.", rich_help_panel=OUTPUT),
    ] = False

    @property
    def annotated(self) -> bool:
        """Whether errors and warnings become annotations."""
        return annotating(self.annotate)
