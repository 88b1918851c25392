"""The commands that remove tags, after they have asked: `rm` and `prune`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from tagger.cli.app import app
from tagger.cli.command import CLEAN_UP, command
from tagger.cli.failure import failing
from tagger.cli.options import Access, DryRun, Json, RepositoryArgument, Rules, Yes
from tagger.cli.render.console import say, show
from tagger.cli.settings import reaching, schemes
from tagger.errors import AGAIN, InputError, Refused
from tagger.text import in_lines

if TYPE_CHECKING:
    from tagger.repository.remove import Removal

R = TypeVar("R", bound="Removal")


def _tags_there(context: typer.Context, incomplete: str) -> list[str]:
    """The tags of the repository that the word may become; none where the registry cannot be asked."""
    from tagger import api

    with contextlib.suppress(Exception):
        typed = context.params
        access = Access(insecure=typed.get("insecure"), auth_host=typed.get("auth_host"))
        words = reaching(access, typed["repository"])
        return [tag for tag in api.listed(typed["repository"], **words) if tag.startswith(incomplete)]
    return []


@command(app, CLEAN_UP)
def rm(
    repository: RepositoryArgument,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VERSION|TAG]...", help="The versions or tags to remove.", autocompletion=_tags_there),
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Remove every tag of the repository.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    access: Access,
    rules: Rules,
    as_json: Json = False,
) -> None:
    """Remove versions or tags, and no other tag with them.

    Floating tags first go back to the version before. The command shows what would go, and asks.

    Example: tagger rm registry.local:5000/gallery/ui 2.0.0 --dry-run
    """
    from tagger import api
    from tagger.cli.render import json, text

    with failing(repository, as_json=as_json):
        if bool(names) == everything:
            raise InputError("say what to remove: versions or tags by name, or everything with --all")
        words: dict[str, Any] = {"schemes": schemes(rules, repository), **reaching(access, repository)}
        remove = partial(api.remove, repository, **words)
        remove_all = partial(api.remove_all, repository, **words)
        done = _after_asking(
            remove_all if everything else partial(remove, *(names or ())),
            lambda agreed: remove(*(names or agreed)),
            text.removal_text,
            dry_run=dry_run,
            yes=yes,
        )
        show(json.as_json(json.removal_content(done)) if as_json else text.removal_text(done))


@command(app, CLEAN_UP)
def prune(
    repository: RepositoryArgument,
    *,
    keep: Annotated[
        int,
        typer.Option(
            metavar="N", help="Keep the newest N stable versions of each minor series (2.1.x, 2.0.x). Required."
        ),
    ],
    keep_minors: Annotated[
        int | None,
        typer.Option(metavar="N", help="Keep the newest N minor series of each major version. Default: all."),
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="DAYS", help="Remove only what was built longer ago, such as 180d.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    access: Access,
    rules: Rules,
    as_json: Json = False,
) -> None:
    """Remove old versions, series by series.

    An image stays if a tag that is not removed, such as a floating tag, holds it. A pre-release is removed only if its
    first identifier is a known stage (alpha, beta, rc, pre, preview, dev, snapshot, nightly, canary, or a channel of
    the settings). Any other may be a rebuild or a variant, so it stays and is listed as not understood. The command
    shows what would go, and asks.

    Example: tagger prune registry.local:5000/gallery/ui --keep 5 --keep-minors 3 --older-than 180d --dry-run
    """
    from tagger import api
    from tagger.cli.render import json, text

    with failing(repository, as_json=as_json):
        policy: dict[str, Any] = {"keep": keep, "keep_minors": keep_minors, "older_than": older_than}
        words: dict[str, Any] = {"schemes": schemes(rules, repository), **reaching(access, repository)}
        pruning = partial(api.prune, repository, **policy, **words)
        done = _after_asking(pruning, lambda agreed: pruning(among=agreed), text.pruning_text, dry_run=dry_run, yes=yes)
        show(json.as_json(json.pruning_content(done)) if as_json else text.pruning_text(done))


def _after_asking(
    remove: Callable[..., R],
    exactly: Callable[[Sequence[str]], R],
    text: Callable[[R], str],
    *,
    dry_run: bool,
    yes: bool,
) -> R:
    """Remove; without --yes show first what would go and ask, then remove `exactly` that.

    Ends the command if the answer is no. Raises InputError without a terminal, and Refused if something else would go
    by the time of the answer.
    """
    if dry_run or yes:
        return remove(dry_run=dry_run)
    if not sys.stdin.isatty():
        raise InputError("not a terminal, so nothing was removed", "check with --dry-run, then pass --yes")
    found = remove(dry_run=True)
    asked = replace(found, dry_run=False)
    if not found.removed:
        return asked
    lines = [*text(asked).split("\n"), "Remove these? [y/N] "]
    typer.echo(in_lines(lines), err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        say("nothing was removed")
        raise typer.Exit(0)
    if remove(dry_run=True) != found:
        raise Refused("the tags changed before the answer, so nothing was removed", AGAIN)
    return exactly(found.removed)
