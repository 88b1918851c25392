"""The commands that release: `release` and `promote`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tagger.cli import offer
from tagger.cli.app import app
from tagger.cli.command import RELEASE, command
from tagger.cli.failure import as_error, failure
from tagger.cli.options import TAGS, TARGET, Texts, option, words
from tagger.cli.release_options import Common, Output, Target
from tagger.cli.render.console import say, show
from tagger.cli.render.github import Appended, append, opened, tell_github
from tagger.cli.settings import Chosen, given, layers_from, promotion, promotions, wanted
from tagger.errors import InputError, TaggerError

if TYPE_CHECKING:
    from tagger.cli.render.live import Watch
    from tagger.releasing.outcome import Release
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
        option(
            TARGET,
            "Release every image in the settings together. Replaces IMAGE and VERSION.",
            "--all",
            metavar="VERSION",
        ),
    ] = None,
    target: Target,
    how: Common,
    floats_via: Annotated[
        str | None,
        option(
            TAGS,
            "How floating tags move: engine pushes them (default); registry writes them directly, which is faster"
            " over slow links.",
            one_of=("engine", "registry"),
        ),
    ] = None,
) -> None:
    """Push an image under its version and every tag that should follow it (2.1, 2, latest).

    A floating tag that belongs to a newer version stays where it is. tagger pushes and verifies the version tag before
    it moves any floating tag. After a failure, it puts the floating tags back.

    Example: tagger release image-gallery 2.1.106 --registry registry.local:5000 --repository gallery/ui
    """
    name = all_as or version or ""

    def run(watch: Watch) -> Release:
        from tagger.api import release as api

        if (image, version) != (None, None) if all_as else None in (image, version):
            raise InputError("give IMAGE and VERSION, or only --all VERSION to release every image in the settings")
        chosen = wanted(image, given(target, how.rules, how.gates, floats_via=floats_via))
        return api.release_all(chosen.images, name, floats_via=chosen.settings.floats_via, **_words(chosen, how, watch))

    _released(run, how, image or "", name)


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
        option(
            TARGET,
            "Promote every image in the settings together. Replaces SOURCE and VERSION.",
            "--all",
            metavar="VERSION",
        ),
    ] = None,
    source_tag: Annotated[
        str | None,
        option(
            TARGET, "With --all: the tag for sources that have none in the settings, such as build-77.", metavar="TAG"
        ),
    ] = None,
    platform_image: Annotated[
        Texts,
        option(
            None,
            "The same image for another platform, to join with SOURCE into one index. Repeatable.",
            metavar="REFERENCE",
        ),
    ] = None,
    to: Annotated[
        Texts,
        option(TARGET, "The repository to release to. Default: the one in SOURCE. Repeatable.", metavar="REPOSITORY"),
    ] = None,
    how: Common,
) -> None:
    """Release an image that is already in a registry, with the same digest and without an Engine.

    tagger first copies what the target repository lacks: all platforms, signatures and attestations. It promotes Helm
    charts and other artifacts in the same way, byte for byte.

    Example: tagger promote registry.local:5000/gallery/ui:build-77 2.1.106
    """
    sources, name = [source, *(platform_image or ())] if source else [], all_as or version or ""

    def run(watch: Watch) -> Release:
        from tagger.api import release as api

        if (source, version, platform_image, to) != (None,) * 4 if all_as else not source or version is None:
            raise InputError("give SOURCE and VERSION, or only --all VERSION to promote every image in the settings")
        if source_tag is not None and not all_as:
            raise InputError("--source-tag needs --all", "put the tag into SOURCE")
        said = given(how.rules, how.gates)
        chosen = promotions(said, source_tag) if all_as else promotion(said, sources, to or (), name)
        return api.promote_all(chosen.images, name, layers_from=layers_from(), **_words(chosen, how, watch))

    _released(run, how, ", ".join(sources), name)


def _words(chosen: Chosen[Any], how: Common, watch: Watch) -> Words:
    """Return the parameters of the API other than the images."""
    settings, access = chosen.settings, how.access
    by_settings = {"gates": settings.gates, "require": settings.require, "after": settings.after}
    reached = {**words(access), "auth_host": access.auth_host or chosen.auth_hosts, "trace": access.trace}
    told = {"progress": watch.progress, "meter": watch.meter}
    return cast("Words", {**words(how.options), **by_settings, **reached, **told})


def _released(run: Callable[[Watch], Release], how: Common, image: str, version: str) -> None:
    """Run a release and report its end; `image` and `version` are for a release that could not begin."""
    from tagger.cli.render.live import Watch

    output = how.output
    error: TaggerError | None = None
    files: list[Appended | None] = []  # no files if one cannot be opened: that is reported once
    try:
        files = [opened(output.summary), opened(output.env_file)]
        with Watch(quiet=output.quiet) as watch:
            done = run(watch)
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - whatever it is, it is reported
        error = as_error(problem)
        done = error.release or _not_begun(image, version, error, dry_run=how.options.dry_run)
    _report(done, files, output, failed=error is not None)
    if error:
        raise failure(error, annotated=output.annotated) from None
    if done.exit_code:
        raise typer.Exit(done.exit_code)


def _not_begun(image: str, version: str, error: TaggerError, *, dry_run: bool) -> Release:
    from tagger.releasing.outcome import Release

    return Release.not_begun(image, version, error, dry_run=dry_run)


def _report(done: Release, files: Sequence[Appended | None], output: Output, *, failed: bool) -> None:
    """Write the files, and print; a file that can no longer be written is named and does not change the result."""
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
