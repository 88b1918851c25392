"""The commands that only read: `ls`, `check`, `repos`, `next` and `config`. The command `tags` has its own module."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagger.cli.app import app
from tagger.cli.command import LOOK, command
from tagger.cli.failure import failing, failure
from tagger.cli.fleet import Asked, is_asked, run
from tagger.cli.options import (
    Access,
    Json,
    Many,
    PerhapsRepository,
    RepositoryArgument,
    Rules,
    Where,
    named,
    option,
)
from tagger.cli.release_options import Target
from tagger.cli.render.console import show
from tagger.cli.settings import Place, given, groups, in_force, places
from tagger.cli.several import Shown, read
from tagger.errors import InputError

if TYPE_CHECKING:
    from tagger.config.check import Verdict
    from tagger.repository.check import Check
    from tagger.repository.listing import Listing

_SHOWN = 20
_DRIFT = 5  # the exit code of a check that found drift


@command(app, LOOK)
def ls(
    repository: PerhapsRepository = None,
    *,
    limit: Annotated[
        int | None,
        option(None, "Show the newest N versions; 0 shows all. Default: 20, or all with --json.", metavar="N", min=0),
    ] = None,
    where: Where,
    many: Many,
    as_json: Json = False,
) -> None:
    """List versions, the floating tags on each, and floating tags that are out of place.

    The newest version comes first. Tags that are not versions come last.

    REPOSITORY@DIGEST lists only the tags that hold that image. tagger then asks the registry where every tag points.
    """
    from tagger.api import look as api
    from tagger.cli.render import json, text

    most = (0 if as_json or many.json_lines or many.resume else _SHOWN) if limit is None else limit

    def look(place: Place) -> Listing:
        return api.ls(place.repository, limit=most or None, **place.words)

    with failing(repository, as_json=as_json):
        shown = Shown(text.listing_text, json.listing_content, differing=None)
        if is_asked(many, repository):
            run(Asked("ls", look, shown), many, repository, where, as_json=as_json)
        if repository and "@" in repository:
            name, _, digest = repository.rpartition("@")
            if limit is not None or given(where.rules):
                raise InputError("--limit, --variant, --prefix and --line apply to versions, not to a digest")
            read(
                groups(where, name),
                lambda place: api.sharing(place.repository, digest, **place.reaching),
                Shown(text.sharing_text, json.sharing_content, differing=None),
                as_json=as_json,
            )
        read(groups(where, repository), look, shown, as_json=as_json)


@command(app, LOOK)
def check(
    repository: PerhapsRepository = None,
    *,
    where: Where,
    many: Many,
    as_json: Json = False,
) -> None:
    """Check floating tags. Exit with 5 if one is missing or out of place, or if repositories disagree.

    The published versions decide where each tag belongs. tagger checks the variants of the settings, or of --variant
    and --prefix. It names tags that seem to belong to others.

    Without REPOSITORY, it checks every image in the settings on each of its registries. If an image has several
    repositories, it reports versions that one lacks and tags that hold different images.
    """
    from tagger.api import look as api
    from tagger.cli.render import json, text

    def look(place: Place) -> Check:
        return api.check(place.repository, **place.words)

    with failing(repository, as_json=as_json):
        shown = Shown(text.check_text, json.check_content, lambda found: 0 if found.ok else _DRIFT, differing=_DRIFT)
        if is_asked(many, repository):
            run(Asked("check", look, shown), many, repository, where, as_json=as_json)
        read(groups(where, repository), look, shown, as_json=as_json)


@command(app, LOOK)
def repos(
    registry: Annotated[str, typer.Argument(metavar="REGISTRY", help="Such as registry.local:5000.")],
    *,
    access: Access,
) -> None:
    """List the repositories of a registry, one per line.

    This works only if the registry serves /v2/_catalog. Most hosted registries do not: pipe their own listing into a
    command instead.

    Example: tagger repos registry.local:5000 | tagger ls - --json-lines
    """
    from tagger.api import look as api
    from tagger.cli.settings import reaching

    with failing():
        for repository in api.repositories(registry, **reaching(access, registry)):
            show(repository)


@command(app, LOOK, "next")
def next_version(
    repository: RepositoryArgument,
    *,
    patch: Annotated[bool, option(None, "The next patch version: compatible bug fixes.", "--patch")] = False,
    minor: Annotated[bool, option(None, "The next minor version: new features that break nothing.", "--minor")] = False,
    major: Annotated[bool, option(None, "The next major version: breaking changes.", "--major")] = False,
    pre: Annotated[
        str | None,
        option(None, "The next pre-release with this label, such as rc.", metavar="LABEL"),
    ] = None,
    first: Annotated[
        bool, option(None, "Print the first version of a repository that is empty or does not exist yet.", "--first")
    ] = False,
    access: Access,
    rules: Rules,
) -> None:
    """Print the version that comes after the highest published one.

    Example: tagger next registry.local:5000/gallery/ui --minor
    """
    from tagger.api import look as api
    from tagger.rules.lines import numbering_of

    parts = [part for part, asked in (("patch", patch), ("minor", minor), ("major", major)) if asked]
    with failing():
        counted = [_in_one_line(place) for place in places(Where(access=access, rules=rules), repository)]
        semver = not any(place.schemes[0].versions for place in counted)
        if len(parts) > 1 or (semver and not (parts or pre)):
            raise InputError("choose the next version with --patch, --minor or --major, or with --pre LABEL")
        part = parts[0] if parts else None
        found = [
            numbering_of(place.schemes).asked(
                api.next_version(place.repository, part, pre=pre, first=first, **place.words)
            )
            for place in counted
        ]
        show(str(max(found)))


def _in_one_line(place: Place) -> Place:
    """Return the place with the schemes of the line that is named, or else of the one at the top, which is first."""
    return replace(place, schemes=tuple(each for each in place.schemes if each.line == place.schemes[0].line))


@command(app, LOOK, "config")
def show_config(
    image: Annotated[
        str | None,
        named("An image or a repository. The settings of its own table are included.", "[IMAGE]"),
    ] = None,
    *,
    whole: Annotated[bool, option(None, "Check every key, image and variant in the file instead.", "--check")] = False,
    schema: Annotated[
        bool, option(None, "Print the JSON Schema of tagger.toml instead, for editors.", "--schema")
    ] = False,
    target: Target,
    rules: Rules,
    as_json: Json = False,
) -> None:
    """Print the effective settings, and where each one comes from.

    The command line comes first, then TAGGER_* in the environment, then tagger.toml or [tool.tagger] in pyproject.toml.
    tagger looks for these files in the working directory and the folders above it, up to the root of the checkout.

    With --check, tagger names every problem in the file, and exits with 2 if there is one.
    """
    from tagger.cli.render import json
    from tagger.config import show as shown
    from tagger.config.check import check as checked

    said = given(target, rules)
    with failing(image, as_json=as_json):
        if (whole or schema) and (whole is schema or image or said):
            raise InputError("--check and --schema apply to the whole file", "use one of them alone")
        verdict = checked(os.environ, Path()) if whole else None
        found = None if whole or schema else in_force(said, image)
    with failing():  # what is shown now is the one JSON object
        if found:
            show(json.as_json(shown.as_content(found)) if as_json else shown.as_text(found))
            found.all_schemes()
        elif verdict:
            _show_verdict(verdict, as_json=as_json)
        else:
            show(shown.schema_as_json())


def _show_verdict(found: Verdict, *, as_json: bool) -> None:
    """Show every problem of the settings file; raises the last."""
    from tagger.cli.render import json
    from tagger.config import show as shown

    if as_json:
        show(json.as_json(shown.verdict_as_content(found)))
    elif not found.problems:
        show(shown.verdict_as_text(found))
    for problem in found.problems[:-1]:
        failure(problem)
    for problem in found.problems[-1:]:
        raise problem
