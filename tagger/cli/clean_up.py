"""The commands that remove tags, after they have asked: `rm` and `prune`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from tagger.cli import offer
from tagger.cli.app import app
from tagger.cli.command import CLEAN_UP, command
from tagger.cli.failure import failing
from tagger.cli.fleet import Asked, is_asked, one, run
from tagger.cli.options import Many, Plan, Removing, RepositoriesArgument, RepositoryArgument, Where, option, words
from tagger.cli.render.console import say
from tagger.cli.settings import Place, given, places
from tagger.cli.several import Shown, after_look, looked, report, write
from tagger.errors import AGAIN, InputError, Refused
from tagger.text import in_lines
from tagger.values import dataclass

if TYPE_CHECKING:
    from tagger.repository.prune import Pruning
    from tagger.repository.remove import Removal

R = TypeVar("R", bound="Removal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What prune keeps."""

    keep: Annotated[
        int | None,
        option(
            None,
            "Keep the newest N stable versions of each minor series (2.1.x, 2.0.x). Required here or in the settings.",
            metavar="N",
        ),
    ] = None
    keep_minors: Annotated[
        int | None, option(None, "Keep the newest N minor series of each major version. Default: all.", metavar="N")
    ] = None
    keep_revisions: Annotated[
        int | None, option(None, "Keep the newest N revisions of each remaining version. Default: all.", metavar="N")
    ] = None
    older_than: Annotated[
        str | None, option(None, "Remove only images built longer ago than this, such as 180d.", metavar="DAYS")
    ] = None

    def at(self, place: Place) -> dict[str, Any]:
        """Return what prune keeps in a repository: by these options, or by its settings. Raises InputError."""
        found = {**place.limits, **words(self)}
        if "keep" not in found:
            raise InputError(
                f"prune needs to know how many versions of {place.repository} to keep",
                "give --keep N, or set keep in the settings",
            )
        return found


@command(app, CLEAN_UP)
def rm(
    repository: RepositoryArgument,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[VERSION|TAG]...", help="The versions or tags to remove.", autocompletion=offer.tags_there
        ),
    ] = None,
    *,
    where: Where,
    everything: Annotated[bool, option(None, "Remove every tag of the repository.", "--all")] = False,
    how: Removing,
) -> None:
    """Remove the versions or tags that you name, and no others.

    Other tags on the same image stay. Floating tags first go back to the version before. tagger shows what would go,
    and asks.

    Example: tagger rm registry.local:5000/gallery/ui 2.0.0 --dry-run
    """
    from tagger.api import clean_up as api
    from tagger.cli.render import json, text

    def remove(place: Place, *, dry_run: bool, among: Sequence[str] | None = None) -> Removal:
        if everything:
            return api.remove_all(place.repository, among=among, dry_run=dry_run, **place.words)
        return api.remove(place.repository, *(names or ()), dry_run=dry_run, **place.words)

    with failing(repository, as_json=how.as_json):
        if bool(names) == everything:
            raise InputError("name the versions or tags to remove, or remove everything with --all")
        if everything and given(where.rules):
            raise InputError(
                "--all removes the tags of every variant and line",
                "leave out --variant, --prefix and --line, or name the tags to remove",
            )
        shown = Shown(text.rm_text, json.removal_content)
        _after_asking(places(where, repository), remove, shown, how)


@command(app, CLEAN_UP)
def prune(
    repository: RepositoriesArgument = None,
    *,
    limits: Limits,
    where: Where,
    plan: Plan = None,
    many: Many,
    how: Removing,
) -> None:
    """Remove old versions, and keep the newest of each series.

    An image stays if a tag that remains holds it, such as a floating tag. tagger removes a pre-release only if its
    first identifier is a known stage: alpha, beta, rc, pre, preview, dev, snapshot, nightly, canary, or a channel in
    the settings. Any other may be a rebuild or a variant, so it stays and is listed as not understood. tagger shows
    what would go, and asks.

    Example: tagger prune registry.local:5000/gallery/ui --keep 5 --keep-minors 3 --older-than 180d --dry-run
    """
    from tagger.api import clean_up as api
    from tagger.cli.render import json, text

    def remove(place: Place, *, dry_run: bool, among: Sequence[str] | None = None) -> Pruning:
        return api.prune(place.repository, **limits.at(place), dry_run=dry_run, among=among, **place.words)

    with failing(repository, as_json=how.as_json):
        shown = Shown(text.pruning_text, json.pruning_content, wrote=lambda done: bool(done.removed))
        if is_asked(many, repository, plan):
            looks = how.dry_run or plan is not None
            if not (how.yes or looks):
                raise InputError(
                    "prune cannot ask about many repositories at once", "check with --dry-run, then pass --yes"
                )
            asked = Asked("prune", partial(remove, dry_run=looks), shown, looks, plan, limits.at)
            run(asked, many, repository, where, as_json=how.as_json)
        there = places(where, one(repository))
        for place in there:
            limits.at(place)  # before the question
        _after_asking(there, remove, shown, how)


def _after_asking(places: Sequence[Place], remove: Callable[..., R], shown: Shown[R], how: Removing) -> None:
    """Remove tags. Without --yes, show first what would go and ask, and then remove only those tags.

    Ends the command. Raises InputError without a terminal, and Refused if other tags would go by the time of the
    answer.
    """
    if how.dry_run or how.yes:
        write(places, remove, shown, how)
    if not sys.stdin.isatty():
        raise InputError("not a terminal, so nothing was removed", "check with --dry-run, then pass --yes")
    look = partial(remove, dry_run=True)
    found = looked(places, look, shown, as_json=how.as_json)
    asked = [replace(each, done=each.done and replace(each.done, dry_run=False)) for each in found]
    going = {each.place: each.done for each in asked if each.done}
    if not any(each.removed for each in going.values()):
        report([asked], shown, as_json=how.as_json)
    lines = [line for each in going.values() for line in shown.text(each).split("\n")]
    typer.echo(in_lines([*lines, "Remove these? [y/N] "]), err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        say("nothing was removed")
        raise typer.Exit(0)
    if looked(places, look, shown, as_json=how.as_json) != found:
        raise Refused("the tags changed before you answered, so nothing was removed", AGAIN)

    def agreed(place: Place) -> R:
        removed = going[place].removed
        return remove(place, dry_run=False, among=removed) if removed else going[place]

    report([after_look(asked, agreed, shown)], shown, as_json=how.as_json)
