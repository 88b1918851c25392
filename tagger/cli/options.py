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
        help="Such as registry.local:5000/gallery/ui. An image in the settings means all of its repositories.",
        autocompletion=offer.tables,
    ),
]
RepositoriesArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="REPOSITORY",
        help="Such as registry.local:5000/gallery/ui. An image in the settings means all of its repositories; - reads"
        " repositories from stdin.",
        autocompletion=offer.tables,
    ),
]
PerhapsRepository = Annotated[
    str | None,
    typer.Argument(
        metavar="[REPOSITORY]",
        help="Such as registry.local:5000/gallery/ui. An image in the settings means all of its repositories; - reads"
        " repositories from stdin. Default: every image in the settings.",
        autocompletion=offer.tables,
    ),
]
Also = Annotated[
    list[str] | None,
    typer.Option(
        "--also",
        metavar="REPOSITORY",
        help="Another repository that should hold the same versions. Repeatable.",
        rich_help_panel=TARGET,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would happen, and change nothing.", rich_help_panel=SAFETY)
]
Yes = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Skip the confirmation. Required without a terminal.", rich_help_panel=SAFETY),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.", rich_help_panel=OUTPUT)]
Field = Annotated[
    str | None,
    typer.Option(
        "--field",
        metavar="NAME",
        help="Print only this field of the JSON object, such as digest or versions.tag, one value per line.",
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
        help="Show every request with its timing on stderr, and a traceback if tagger itself fails. No credentials.",
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
        help="Write the planned changes to a file for tagger apply, instead of making them.",
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
            help="The registry to release to. Default: the one in IMAGE, or else Docker Hub. Repeatable.",
            rich_help_panel=TARGET,
        ),
    ] = None
    repository: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="The path of the repository. Default: the one in IMAGE.", rich_help_panel=TARGET
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How versions are spelled as tags."""

    variant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A variant: its tags end in -NAME. 'default' is the one without a suffix. Repeatable.",
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
            help="A line of versions in the settings; 'default' is the one at the top. Without it, release, promote,"
            " tags and next use that one, and other commands use all.",
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
            help="Allow plain HTTP and unverified certificates for this registry. Repeatable.",
            rich_help_panel=TARGET,
        ),
    ] = None
    auth_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST",
            help="Trust this token server, although it is not on the registry's host. Repeatable.",
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
            help="Read repositories from a file, one per line. Blank lines and # comments are ignored.",
            rich_help_panel=MANY,
        ),
    ] = None
    json_lines: Annotated[
        bool,
        typer.Option(
            "--json-lines",
            help="Print one line of JSON for each repository, as soon as it is done.",
            rich_help_panel=MANY,
        ),
    ] = False
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Append the JSON lines to a file, and skip repositories that are already in it.",
            rich_help_panel=MANY,
        ),
    ] = None
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=256,
            help="How many repositories to work on at once. Default: 8.",
            rich_help_panel=MANY,
        ),
    ] = None
    rate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST=N/s",
            help="Limit the requests to a registry and its token server, for all shards together: N/s, N/m or N/h."
            " Repeatable.",
            rich_help_panel=MANY,
        ),
    ] = None
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Work on one of N parts of the repositories, counted from 0, such as 3/20.",
            rich_help_panel=MANY,
        ),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Stop after this time, which includes putting tags back. Exit with 8 if repositories are left.",
            rich_help_panel=MANY,
        ),
    ] = None
    metrics: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write metrics to a file, in Prometheus text format.", rich_help_panel=MANY),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOptions:
    """What a release may do, and for how long."""

    build_metadata: BuildMetadata = "refuse"
    assume_newest: Annotated[
        bool,
        typer.Option(
            "--assume-newest",
            help="Treat VERSION as the newest: move all of its floating tags without listing other versions.",
            rich_help_panel=TAGS,
        ),
    ] = False
    revision: Annotated[
        bool,
        typer.Option(
            "--revision",
            help="Publish a rebuild of VERSION as its next revision, such as 2.1.106-r3. Requires revisions in the"
            " settings.",
            rich_help_panel=TAGS,
        ),
    ] = False
    dry_run: DryRun = False
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Overwrite a version that is published with another image.", rich_help_panel=SAFETY
        ),
    ] = False
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Refuse an image unless its labels name this version and, with git, this commit.",
            rich_help_panel=SAFETY,
        ),
    ] = False
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Stop after this time, which includes putting tags back.",
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
            help="Run this command on the pushed image before any tag moves, such as 'cosign sign {reference}'. If it"
            " fails, no tag moves. Repeatable.",
            rich_help_panel=SAFETY,
        ),
    ] = None
    require: Annotated[
        list[str] | None,
        typer.Option(
            metavar="signature|provenance|sbom",
            autocompletion=offer.one_of("signature", "provenance", "sbom"),
            help="Require this evidence before any tag moves. tagger checks that it exists; a gate can verify it."
            " Repeatable.",
            rich_help_panel=SAFETY,
        ),
    ] = None
    after: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COMMAND",
            help="Run this command after the tags have moved. A failure is a warning and exit code 7. Repeatable.",
            rich_help_panel=SAFETY,
        ),
    ] = None
    gate_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Time limit for each --gate and --after command. Default: 1800.",
            rich_help_panel=SAFETY,
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where and how a release is reported."""

    summary: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Append a Markdown report to a file, such as $GITHUB_STEP_SUMMARY.", rich_help_panel=CI
        ),
    ] = None
    env_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Append NAME=VALUE lines to a file: TAGGER_VERSION, TAGGER_DIGEST, TAGGER_TAGS and more.",
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
