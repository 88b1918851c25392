"""The commands that look and change nothing: `tags`, `ls`, `check`, `next` and `config`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagger.cli import offer
from tagger.cli.app import app
from tagger.cli.command import LOOK, command
from tagger.cli.failure import failing, failure
from tagger.cli.fleet import Asked, is_asked, run
from tagger.cli.options import (
    Access,
    Also,
    BuildMetadata,
    Json,
    Many,
    PerhapsRepository,
    RepositoryArgument,
    Rules,
    Target,
    Verbose,
)
from tagger.cli.render.console import show
from tagger.cli.settings import Place, given, groups, in_force, places
from tagger.cli.several import Shown, read
from tagger.errors import InputError

if TYPE_CHECKING:
    from tagger.repository.check import Check
    from tagger.repository.listing import Listing

_SHOWN = 20
_DRIFT = 5  # the exit code of a check that found some


@command(app, LOOK)
def tags(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Such as 2.1.106, or git: the semver tag at HEAD.")],
    *,
    rules: Rules,
    build_metadata: BuildMetadata = "refuse",
    verbose: Verbose = False,  # noqa: ARG001 - it counts anywhere on the command line
) -> None:
    """Print the tags of a version, without asking a registry.

    They come one on each line, the most specific first.
    """
    from tagger.git import parse_asked
    from tagger.rules.lines import numbering_of

    with failing():
        found = in_force(given(rules), None)
        schemes, form = found.schemes(), found.settings.git_tag
        wanted = parse_asked(version, numbering_of(schemes), build_metadata=build_metadata, git_tag=form).version
        show("\n".join(tag for scheme in schemes for tag in scheme.tags(wanted)))


@command(app, LOOK)
def ls(
    repository: PerhapsRepository = None,
    *,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Show the newest N versions, 0 for all. Default: 20; with --json, all."),
    ] = None,
    also: Also = None,
    many: Many,
    access: Access,
    rules: Rules,
    as_json: Json = False,
) -> None:
    """List versions, the floating tags at each, and floating tags that are out of place.

    The newest version comes first. Tags that are not versions come last.

    With REPOSITORY@DIGEST, it lists only the tags that hold that image. tagger asks where each tag points for that.
    """
    from tagger import api
    from tagger.cli.render import json, text

    most = (0 if as_json or many.json_lines or many.resume else _SHOWN) if limit is None else limit

    def look(place: Place) -> Listing:
        return api.ls(place.repository, limit=most or None, **place.words)

    with failing(repository, as_json=as_json):
        shown = Shown(text.listing_text, json.listing_content, differing=None)
        if is_asked(many, repository):
            run(Asked("ls", look, shown), many, repository, also, access=access, rules=rules, as_json=as_json)
        if repository and "@" in repository:
            name, _, digest = repository.rpartition("@")
            if limit is not None:
                raise InputError("--limit is about versions", "leave it out, or leave out the digest")
            read(
                groups(rules, access, name, also),
                lambda place: api.sharing(place.repository, digest, **place.reaching),
                Shown(text.sharing_text, json.sharing_content, differing=None),
                as_json=as_json,
            )
        read(groups(rules, access, repository, also), look, shown, as_json=as_json)


@command(app, LOOK)
def check(
    repository: PerhapsRepository = None,
    *,
    also: Also = None,
    many: Many,
    access: Access,
    rules: Rules,
    as_json: Json = False,
) -> None:
    """Exit with 5 if a floating tag is missing or out of place, or if repositories disagree.

    The published versions say where each one belongs. Only the variants of the settings, or of --variant and --prefix,
    are checked; tags that seem to belong to others are named.

    Without REPOSITORY, it checks every image of the settings on each of its registries. Of several repositories of one
    image it says which versions one lacks, and which tags hold different images.
    """
    from tagger import api
    from tagger.cli.render import json, text

    def look(place: Place) -> Check:
        return api.check(place.repository, **place.words)

    with failing(repository, as_json=as_json):
        shown = Shown(text.check_text, json.check_content, lambda found: 0 if found.ok else _DRIFT, differing=_DRIFT)
        if is_asked(many, repository):
            run(Asked("check", look, shown), many, repository, also, access=access, rules=rules, as_json=as_json)
        read(groups(rules, access, repository, also), look, shown, as_json=as_json)


@command(app, LOOK)
def repos(
    registry: Annotated[str, typer.Argument(metavar="REGISTRY", help="Such as registry.local:5000.")],
    *,
    access: Access,
) -> None:
    """List the repositories of a registry, one a line, if it serves that list.

    Most hosted registries do not serve /v2/_catalog: use their own listing instead, and pipe it into a command.

    Example: tagger repos registry.local:5000 | tagger ls - --json-lines
    """
    from tagger import api
    from tagger.cli.settings import reaching

    with failing():
        for repository in api.repositories(registry, **reaching(access, registry)):
            show(repository)


@command(app, LOOK, "next")
def next_version(
    repository: RepositoryArgument,
    *,
    patch: Annotated[bool, typer.Option("--patch", help="The next patch: compatible bug fixes.")] = False,
    minor: Annotated[bool, typer.Option("--minor", help="The next minor: new features that break nothing.")] = False,
    major: Annotated[bool, typer.Option("--major", help="The next major: changes that break users.")] = False,
    pre: Annotated[
        str | None,
        typer.Option(metavar="LABEL", help="A pre-release, such as rc: of that version, or the next."),
    ] = None,
    first: Annotated[
        bool, typer.Option("--first", help="Nothing is published yet; the repository may be missing.")
    ] = False,
    access: Access,
    rules: Rules,
) -> None:
    """Print the version that follows the greatest published one.

    Example: tagger next registry.local:5000/gallery/ui --minor
    """
    from tagger import api
    from tagger.rules.lines import numbering_of

    parts = [part for part, asked in (("patch", patch), ("minor", minor), ("major", major)) if asked]
    with failing():
        counted = places(replace(rules, line=rules.line or "default"), access, repository)
        semver = not any(place.schemes[0].versions for place in counted)
        if len(parts) > 1 or (semver and not (parts or pre)):
            raise InputError("say which version is next: one of --patch, --minor and --major, or --pre with a label")
        part = parts[0] if parts else None
        found = [
            numbering_of(place.schemes).asked(
                api.next_version(place.repository, part, pre=pre, first=first, **place.words)
            )
            for place in counted
        ]
        show(str(max(found)))


@command(app, LOOK, "config")
def show_config(
    image: Annotated[
        str | None,
        typer.Argument(
            metavar="[IMAGE]",
            help="An image or repository; its table in the settings counts.",
            autocompletion=offer.tables,
        ),
    ] = None,
    *,
    whole: Annotated[
        bool, typer.Option("--check", help="Check every key, image and variant of the file instead.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of tagger.toml, for editors, instead.")
    ] = False,
    target: Target,
    rules: Rules,
    as_json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - it counts anywhere on the command line
) -> None:
    """Print the settings in force and where each comes from.

    Settings come from the command line, TAGGER_* in the environment, and tagger.toml or [tool.tagger] in
    pyproject.toml, in the working directory or a folder above it in the same checkout.

    With --check, the exit code is 2 if the file has a problem; each one is named.
    """
    from tagger.cli.render import json
    from tagger.config import show as shown

    said = given(rules, target)
    with failing():
        if (whole or schema) and (whole is schema or image or any(value is not None for value in said.values())):
            raise InputError("--check and --schema are about the whole file", "give one of them alone")
        if schema:
            show(shown.schema_as_json())
        elif whole:
            _check_file(as_json=as_json)
        else:
            found = in_force(said, image)
            show(json.as_json(shown.as_content(found)) if as_json else shown.as_text(found))
            found.all_schemes()


def _check_file(*, as_json: bool) -> None:
    """Show every problem of the settings file; raises the last."""
    from tagger.cli.render import json
    from tagger.config import show as shown
    from tagger.config.check import check as checked

    found = checked(os.environ, Path())
    if as_json:
        show(json.as_json(shown.verdict_as_content(found)))
    elif not found.problems:
        show(shown.verdict_as_text(found))
    for problem in found.problems[:-1]:
        failure(problem)
    for problem in found.problems[-1:]:
        raise problem
