"""The commands that release: `release` and `promote`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

import typer

from tagger.cli import offer
from tagger.cli.app import app
from tagger.cli.command import RELEASE, command
from tagger.cli.failure import as_error, failure
from tagger.cli.options import TAGS, TARGET, Access, Gates, Output, ReleaseOptions, Rules, Target, words
from tagger.cli.render.console import say, show
from tagger.cli.render.github import Appended, append, opened, tell_github
from tagger.cli.settings import (
    git_tag_of,
    given,
    in_force,
    judged,
    layers_from,
    promotions,
    schemes_to_write,
    token_hosts,
    wanted,
)
from tagger.errors import InputError, TaggerError

if TYPE_CHECKING:
    from tagger.cli.render.live import Watch
    from tagger.releasing.outcome import Release
    from tagger.wiring.options import Judged
    from tagger.wiring.options import ReleaseOptions as Words


_VERSION = typer.Argument(
    metavar="VERSION", help="The version, such as 2.1.106 or v3.0.0-rc.1. git means the semver tag at HEAD."
)


@command(app, RELEASE)
def release(
    image: Annotated[
        str | None,
        typer.Argument(
            metavar="IMAGE", help="An image in the Docker Engine: its name, ID or digest.", autocompletion=offer.images
        ),
    ] = None,
    version: Annotated[str | None, _VERSION] = None,
    *,
    all_as: Annotated[
        str | None,
        typer.Option(
            "--all",
            metavar="VERSION",
            help="Release every image in the settings together. Replaces IMAGE and VERSION.",
            rich_help_panel=TARGET,
        ),
    ] = None,
    target: Target,
    access: Access,
    rules: Rules,
    floats_via: Annotated[
        str | None,
        typer.Option(
            metavar="engine|registry",
            autocompletion=offer.one_of("engine", "registry"),
            help="How floating tags move: engine pushes them (default); registry writes them directly, which is faster"
            " over slow links.",
            rich_help_panel=TAGS,
        ),
    ] = None,
    gates: Gates,
    options: ReleaseOptions,
    output: Output,
) -> None:
    """Push an image under its version and every tag that should follow it (2.1, 2, latest).

    A floating tag that belongs to a newer version stays where it is. tagger pushes and verifies the version tag before
    it moves any floating tag. After a failure, it puts the floating tags back.

    Example: tagger release image-gallery 2.1.106 --registry registry.local:5000 --repository gallery/ui
    """

    def run(watch: Watch) -> Release:
        from tagger import api

        if (image, version) != (None, None) if all_as else None in (image, version):
            raise InputError("give IMAGE and VERSION, or only --all VERSION to release every image in the settings")
        images, settings, auth_hosts = wanted(image, given(rules, target, floats_via=floats_via, gates=gates))
        asked = _words(options, access, access.auth_host or auth_hosts, watch, judged(gates, settings))
        return api.release_all(images, all_as or version or "", floats_via=settings.floats_via, **asked)

    _released(run, _Asked(image or "", all_as or version or "", options.dry_run), output)


@command(app, RELEASE)
def promote(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            autocompletion=offer.tagged,
            help="The image: REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@DIGEST. In an OCI layout (a folder or a"
            " tar): oci:PATH, oci:PATH:NAME or oci:PATH@DIGEST.",
        ),
    ] = None,
    version: Annotated[str | None, _VERSION] = None,
    *,
    all_as: Annotated[
        str | None,
        typer.Option(
            "--all",
            metavar="VERSION",
            help="Promote every image in the settings together. Replaces SOURCE and VERSION.",
            rich_help_panel=TARGET,
        ),
    ] = None,
    source_tag: Annotated[
        str | None,
        typer.Option(
            metavar="TAG",
            help="With --all: the tag for sources that have none in the settings, such as build-77.",
            rich_help_panel=TARGET,
        ),
    ] = None,
    platform_image: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REFERENCE",
            help="The same image for another platform, to join with SOURCE into one index. Repeatable.",
        ),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REPOSITORY",
            help="The repository to release to. Default: the one in SOURCE. Repeatable.",
            rich_help_panel=TARGET,
        ),
    ] = None,
    access: Access,
    rules: Rules,
    gates: Gates,
    options: ReleaseOptions,
    output: Output,
) -> None:
    """Release an image that is already in a registry, with the same digest and without an Engine.

    tagger first copies what the target repository lacks: all platforms, signatures and attestations. It promotes Helm
    charts and other artifacts in the same way, byte for byte.

    Example: tagger promote registry.local:5000/gallery/ui:build-77 2.1.106
    """
    sources = [source, *(platform_image or ())] if source else []

    def run(watch: Watch) -> Release:
        from tagger import api

        if (source, version, platform_image, to) != (None,) * 4 if all_as else not source or version is None:
            raise InputError("give SOURCE and VERSION, or only --all VERSION to promote every image in the settings")
        if all_as:
            images, settings, auth_hosts = promotions(given(rules, gates=gates), source_tag)
            asked = _words(options, access, access.auth_host or auth_hosts, watch, judged(gates, settings))
            return api.promote_all(images, all_as, layers_from=layers_from(), **asked)
        if source_tag is not None:
            raise InputError("--source-tag needs --all", "put the tag into SOURCE")
        first = to[0] if to else sources[0]
        settings = in_force(given(rules, gates=gates), first).settings
        return api.promote(
            sources if platform_image else sources[0],
            version or "",
            to=to or (),
            schemes=schemes_to_write(rules, to or sources[:1]),
            git_tag=git_tag_of(rules, to or sources[:1]) if version == "git" else None,
            layers_from=layers_from(),
            **_words(options, access, token_hosts(access, first), watch, judged(gates, settings)),
        )

    _released(run, _Asked(", ".join(sources), all_as or version or "", options.dry_run), output)


def _words(
    options: ReleaseOptions, access: Access, auth_hosts: Sequence[str], watch: Watch, conditions: Judged
) -> Words:
    given = {**words(options), **words(access), **conditions, "auth_host": auth_hosts, "trace": access.trace}
    return cast("Words", {**given, "progress": watch.progress, "meter": watch.meter})


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a release was asked to be, for the report of one that could not begin."""

    image: str
    version: str
    dry_run: bool


def _released(run: Callable[[Watch], Release], asked: _Asked, output: Output) -> None:
    """Run a release and report it, however it ends."""
    from tagger.cli.render.live import Watch

    error: TaggerError | None = None
    files: list[Appended | None] = []  # none where one cannot be opened: that is said once
    try:
        files = [opened(output.summary), opened(output.env_file)]
        with Watch(quiet=output.quiet) as watch:
            done = run(watch)
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - whatever it is, it is reported
        error = as_error(problem)
        done = error.release or _not_begun(asked, error)
    _report(done, files, output, failed=error is not None)
    if error:
        raise failure(error, annotated=output.annotated) from None
    if done.exit_code:
        raise typer.Exit(done.exit_code)


def _not_begun(asked: _Asked, error: TaggerError) -> Release:
    from tagger.releasing.outcome import Release

    return Release.not_begun(asked.image, asked.version, error, dry_run=asked.dry_run)


def _report(done: Release, files: Sequence[Appended | None], output: Output, *, failed: bool) -> None:
    """Write the files, and print; a file that can no longer be written is named, and changes nothing."""
    from tagger.cli.render.json import as_json, release_content
    from tagger.cli.render.markdown import release_markdown, release_variables
    from tagger.cli.render.table import show_release
    from tagger.cli.render.text import release_text

    for file, write in zip(files, (release_markdown, release_variables), strict=False):
        try:
            append(file, write(done))
        except TaggerError as problem:
            say(str(problem))
    for warning in done.warnings if output.annotated else ():
        tell_github("warning", warning)
    if output.as_json:
        show(as_json(release_content(done)))
    elif (done.repositories or not failed) and not show_release(done):
        show(release_text(done))
