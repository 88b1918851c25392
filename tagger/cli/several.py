"""A command on one repository or several: tagger reads all before it writes to one, and the worst exit code counts.

Each repository has its own result. The differences between the repositories follow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

import typer

from tagger.cli import signals
from tagger.cli.failure import as_error, failed_content, failure, show_done
from tagger.cli.options import Writing
from tagger.cli.render.console import say, show
from tagger.cli.settings import Place
from tagger.errors import Interrupted, NotThere, TaggerError, Unsettled
from tagger.values import dataclass

if TYPE_CHECKING:
    from tagger.repository.compare import Difference

R = TypeVar("R")

# From best to worst: nothing is wrong, drift, refused, bad input, failed without a change, unfinished, interrupted by a
# signal, some tags out of place.
_MILDEST_FIRST = (0, 5, 3, 2, 1, 8, 129, 130, 143, 4)


@dataclass(frozen=True, slots=True)
class Ended(Generic[R]):
    """How a command ended in a repository: with a result, with an error, or with a reason why it had nothing to do."""

    place: Place
    done: R | None = None
    error: TaggerError | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shown(Generic[R]):
    """How to show the result of a command as text and as JSON, and its exit code."""

    text: Callable[[R], str]
    content: Callable[[R], dict[str, Any]]
    code: Callable[[R], int] = lambda _: 0
    wrote: Callable[[R], bool] = lambda _: True
    """Whether a command that writes has changed something, if it ended without an error."""
    differing: int | None = 0
    """The exit code if repositories differ; None: they are not compared."""


def read(groups: Sequence[Sequence[Place]], do: Callable[[Place], R], shown: Shown[R], *, as_json: bool) -> NoReturn:
    """Read each repository, and report."""
    ended = iter(in_each([place for group in groups for place in group], do))
    report([[next(ended) for _ in group] for group in groups], shown, as_json=as_json)


def in_each(places: Sequence[Place], do: Callable[[Place], R]) -> list[Ended[R]]:
    """Do something in each repository, whatever happens in the others.

    Raises NotThere if no repository has the named tags; for a single repository, raises whatever it raises.
    """
    if len(places) == 1:
        return [Ended(place, do(place)) for place in places]
    ended = _one_by_one(places, do)
    if all(each.note for each in ended):
        raise NotThere("; ".join(each.note for each in ended), "tagger ls shows what a repository has")
    return ended


def _one_by_one(places: Sequence[Place], do: Callable[[Place], R]) -> list[Ended[R]]:
    ended: list[Ended[R]] = []
    for place in places:
        if signals.came():
            ended.append(Ended(place, note="not started, because the command was interrupted"))
            continue
        try:
            ended.append(Ended(place, do(place)))
        except NotThere as absent:
            ended.append(Ended(place, note=absent.what))
        except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - whatever it is, it is reported
            ended.append(Ended(place, error=as_error(problem)))
    return ended


def looked(places: Sequence[Place], look: Callable[[Place], R], shown: Shown[R], *, as_json: bool) -> list[Ended[R]]:
    """Read each repository before anything is written; end the command if one of several cannot be used."""
    found = in_each(places, look)
    if any(each.error for each in found):
        note = "nothing was written, because another repository has a problem"
        report([[each if each.error else Ended(each.place, note=note) for each in found]], shown, as_json=as_json)
    return found


def write(places: Sequence[Place], do: Callable[..., R], shown: Shown[R], how: Writing) -> NoReturn:
    """Write to each repository, after reading all of several, and report."""
    if how.dry_run or len(places) == 1:
        ended = in_each(places, partial(do, dry_run=how.dry_run))
    else:
        found = looked(places, partial(do, dry_run=True), shown, as_json=how.as_json)
        ended = after_look(found, partial(do, dry_run=False), shown)
    report([ended], shown, as_json=how.as_json)


def after_look(found: Sequence[Ended[R]], do: Callable[[Place], R], shown: Shown[R]) -> list[Ended[R]]:
    """Write to each repository that needs a change."""
    ended = {each.place: each for each in _one_by_one([each.place for each in found if not each.note], do)}
    every = [ended.get(each.place, each) for each in found]
    if any(each.done is not None and shown.wrote(each.done) for each in ended.values()):
        return [replace(each, error=each.error and _not_as_it_was(each.error)) for each in every]
    return every


def _not_as_it_was(error: TaggerError) -> TaggerError:
    """Return the error of one repository after a change in another: their tags no longer match."""
    if isinstance(error, Unsettled | Interrupted):
        return error
    found = Unsettled(f"{error.what}, and another repository has changed already", (), error.hint)
    found.removal, found.__cause__ = error.removal, error.__cause__
    return found


def report(groups: Sequence[Sequence[Ended[R]]], shown: Shown[R], *, as_json: bool) -> NoReturn:
    """Show the result of each repository, and the differences within a group; exit with the worst code."""
    contents: list[dict[str, Any]] = []
    codes: list[int] = []
    for group in groups:
        if not as_json:
            for each in group:
                _show(each, shown)
        differences, code = _compared(group, shown)
        contents += [_content(each, shown, differences) for each in group]
        codes += [*(_code(each, shown) for each in group), code]
        if differences and not as_json:
            from tagger.cli.render.text import differences_text

            show(differences_text(differences))
    if as_json:
        from tagger.cli.render.json import as_json as written

        show(written(contents if len(contents) > 1 else contents[0]))
    for each in (each for group in groups for each in group):
        if each.error:
            failure(each.error, where=each.place.repository if len(contents) > 1 else "")
    raise typer.Exit(max(codes, key=severity))


def _code(ended: Ended[R], shown: Shown[R]) -> int:
    if ended.error:
        return ended.error.exit_code
    return 0 if ended.done is None else shown.code(ended.done)


def _show(ended: Ended[R], shown: Shown[R]) -> None:
    if ended.note:
        repository = ended.place.repository
        show(ended.note if repository in ended.note else f"{repository}: {ended.note}")
    elif ended.error:
        show_done(ended.error)
    elif ended.done is not None:
        show(shown.text(ended.done))


def _content(ended: Ended[R], shown: Shown[R], differences: Sequence[Difference]) -> dict[str, Any]:
    from tagger.cli.render.json import differences_content

    repository = ended.place.repository
    if ended.error:
        content = failed_content(ended.error, repository)
    else:
        content = {"repository": repository, "note": ended.note} if ended.done is None else shown.content(ended.done)
    return content | ({"differs": differences_content(differences)} if differences else {})


def _compared(group: Sequence[Ended[R]], shown: Shown[R]) -> tuple[Sequence[Difference], int]:
    """Find the differences between the repositories of a group, and the exit code for them."""
    if shown.differing is None or len(group) == 1 or any(each.error for each in group):
        return (), 0
    from tagger.api import look as api

    try:
        found = api.compare([api.ls(each.place.repository, **each.place.words) for each in group])
    except (TaggerError, KeyboardInterrupt) as problem:
        error = as_error(problem)
        say(f"note: tagger could not compare the repositories, because {error}")
        return (), error.exit_code if shown.differing or isinstance(error, Interrupted) else 0
    return found, shown.differing if found else 0


def severity(code: int) -> int:
    """Return how bad an exit code is among those of several repositories."""
    return _MILDEST_FIRST.index(code) if code in _MILDEST_FIRST else len(_MILDEST_FIRST)
