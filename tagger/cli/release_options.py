"""The options of releases, each written once: target, gates and evidence, conditions, and report."""

from typing import Annotated

from tagger.cli.options import (
    CI,
    OUTPUT,
    SAFETY,
    TAGS,
    TARGET,
    Access,
    BuildMetadata,
    DryRun,
    Json,
    Rules,
    Texts,
    option,
)
from tagger.cli.render.github import annotating
from tagger.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an image goes."""

    registry: Annotated[
        Texts,
        option(
            TARGET,
            "The registry to release to. Default: the one in IMAGE, or else Docker Hub. Repeatable.",
            metavar="HOST[:PORT]",
        ),
    ] = None
    repository: Annotated[
        str | None,
        option(TARGET, "The path of the repository. Default: the one in IMAGE.", metavar="PATH"),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """The commands around a release, and the required evidence."""

    gate: Annotated[
        Texts,
        option(
            SAFETY,
            "Run this command on the pushed image before any tag moves, such as 'cosign sign {reference}'. If it"
            " fails, no tag moves. Repeatable.",
            metavar="COMMAND",
        ),
    ] = None
    require: Annotated[
        Texts,
        option(
            SAFETY,
            "Require this evidence before any tag moves. tagger checks that it exists; a gate can verify it."
            " Repeatable.",
            one_of=("signature", "provenance", "sbom"),
        ),
    ] = None
    after: Annotated[
        Texts,
        option(
            SAFETY,
            "Run this command after the tags have moved. A failure is a warning and exit code 7. Repeatable.",
            metavar="COMMAND",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOptions:
    """What a release may do, and for how long."""

    build_metadata: BuildMetadata = "refuse"
    assume_newest: Annotated[
        bool,
        option(
            TAGS,
            "Treat VERSION as the newest: move all of its floating tags without listing other versions.",
            "--assume-newest",
        ),
    ] = False
    revision: Annotated[
        bool,
        option(
            TAGS,
            "Publish a rebuild of VERSION as its next revision, such as 2.1.106-r3. Requires revisions in the"
            " settings.",
            "--revision",
        ),
    ] = False
    gate_timeout: Annotated[
        float | None,
        option(SAFETY, "Time limit for each --gate and --after command. Default: 1800.", metavar="SECONDS"),
    ] = None
    dry_run: DryRun = False
    force: Annotated[bool, option(SAFETY, "Overwrite a version that is published with another image.", "--force")] = (
        False
    )
    strict: Annotated[
        bool,
        option(SAFETY, "Refuse an image unless its labels name this version and, with git, this commit.", "--strict"),
    ] = False
    timeout: Annotated[
        float | None,
        option(SAFETY, "Stop after this time, which includes putting tags back.", metavar="SECONDS"),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where and how a release is reported."""

    summary: Annotated[
        str | None, option(CI, "Append a Markdown report to a file, such as $GITHUB_STEP_SUMMARY.", metavar="FILE")
    ] = None
    env_file: Annotated[
        str | None,
        option(
            CI,
            "Append NAME=VALUE lines to a file: TAGGER_VERSION, TAGGER_DIGEST, TAGGER_TAGS and more.",
            metavar="FILE",
        ),
    ] = None
    annotate: Annotated[
        bool | None,
        option(
            CI,
            "Show errors and warnings as GitHub Actions annotations. Default: on in GitHub Actions.",
            "--annotate/--no-annotate",
        ),
    ] = None
    as_json: Json = False
    quiet: Annotated[bool, option(OUTPUT, "Hide progress; print only the result.", "--quiet", "-q")] = False

    @property
    def annotated(self) -> bool:
        """Whether errors and warnings become annotations."""
        return annotating(self.annotate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What `release` and `promote` both take."""

    access: Access
    rules: Rules
    gates: Gates
    options: ReleaseOptions
    output: Output
