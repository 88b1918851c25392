"""A command on many repositories from stdin or a file: it handles some at a time, each with its own result."""

from __future__ import annotations

import errno
import gc
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

import typer

from tagger.cli.failure import as_error, failed_content, failure, show_done
from tagger.cli.options import Many, Where
from tagger.cli.render.console import say, show
from tagger.cli.settings import Place, groups, reader
from tagger.cli.several import Shown, severity
from tagger.errors import AGAIN, CalledOff, InputError, TaggerError, TimedOut
from tagger.text import printable
from tagger.values import dataclass

if TYPE_CHECKING:
    from tagger.fleet.entry import Entry, Ran
    from tagger.fleet.journal import Journal
    from tagger.wiring.access import Shared
    from tagger.work import Deadline

R = TypeVar("R")
T = TypeVar("T")
STDIN = "-"
UNFINISHED = 8
_JOBS = 8


@dataclass(frozen=True, slots=True)
class Asked(Generic[R]):
    """The work in each repository, and how to show its result; `dry_run` is None for a command that never writes.

    With a `plan`, the changes are not made but written to that file, with the `limits` of each repository.
    """

    command: str
    do: Callable[[Place], R]
    shown: Shown[R]
    dry_run: bool | None = None
    plan: str | None = None
    limits: Callable[[Place], dict[str, Any]] | None = None

    def said(self, place: Place, done: R) -> dict[str, Any]:
        """Return the result of a repository as JSON."""
        content = self.shown.content(done)
        if self.plan is None or not self.shown.wrote(done):
            return content
        from tagger.api import look as api
        from tagger.fleet.plan import changes_of, tags_of

        tags = tags_of(changes_of(self.command, content))
        seen = api.digests(place.repository, tags, **place.reaching)
        return {**content, "seen": seen, **({"limits": self.limits(place)} if self.limits else {})}

    @property
    def ran(self) -> Ran:
        """Return the command as the lines of a run name it."""
        from tagger.fleet.entry import Ran

        return Ran(self.command, self.dry_run)


@dataclass(frozen=True, slots=True)
class Ended:
    """Return the result in one repository, and the function that shows it."""

    entry: Entry
    show: Callable[[], None]


def is_asked(many: Many, repository: str | None, plan: str | None = None) -> bool:
    """Whether a command is about many repositories, by its argument or an option that only such commands have."""
    given = (getattr(many, each.name) for each in fields(many))
    return repository == STDIN or plan is not None or any(value is not None and value is not False for value in given)


def one(repository: str | None) -> str:
    """Return the repository of a command that is about one. Raises InputError if it is missing."""
    if repository is None:
        raise InputError("no repository is named", "give REPOSITORY, - to read several from stdin, or --from FILE")
    return repository


def run(
    asked: Asked[R],
    many: Many,
    repository: str | None,
    where: Where,
    *,
    as_json: bool,
) -> NoReturn:
    """Run a command on many repositories, show each result as it ends, and end with the worst exit code."""
    from tagger.fleet.names import Shard, wanted

    if as_json:
        raise InputError(
            "--json and --field print one result at the end of the run", "use --json-lines for many repositories"
        )
    shard = Shard() if many.shard is None else Shard.parse(many.shard)
    deadline = deadline_of(many)
    named = _named(many, repository, where, deadline)
    place_of = reader(where)

    def task(spelt: str, name: str, shared: Shared) -> Ended:
        return ended_in(spelt, asked, many, lambda: sharing(place_of(name), shared))

    if asked.plan is not None and many.resume not in {None, asked.plan}:
        raise InputError("--plan and --resume name different files", "give both the same file")
    Run(asked.ran, many, deadline, shard.count, asked.plan).each(wanted(named, shard), task)


def deadline_of(many: Many) -> Deadline:
    """Return the time that a run has. Raises InputError."""
    from tagger.wiring.access import seconds
    from tagger.work import Deadline

    return Deadline(seconds("--timeout", many.timeout), say)


def _named(many: Many, repository: str | None, where: Where, deadline: Deadline) -> Iterator[str]:
    """Return the repositories as the user names them: on stdin, in a file, or on the command line."""
    from tagger.fleet import lines
    from tagger.fleet.names import names

    if repository == STDIN or many.listed is not None:
        if where.also or (repository is not None and many.listed is not None):
            raise InputError(
                "--from and - take no other repositories", "use one of them alone, or REPOSITORY with --also"
            )
        check = deadline.check
        if many.listed is None:
            return names(lines.of_stdin(check), "stdin")
        return names(lines.of_file(many.listed, check), many.listed)
    return (place.repository for group in groups(where, repository) for place in group)


def sharing(place: Place, shared: Shared) -> Place:
    """Return the same place, with the connections that the calls for many repositories share."""
    return replace(place, reaching={**place.reaching, "shared": shared})


@dataclass(frozen=True, slots=True)
class Run:
    """Begin a command on many repositories, and return the time that it has.

    `sharers` is the number of shards. The file of a `plan` starts empty, unless the run is resumed.
    """

    ran: Ran
    many: Many
    deadline: Deadline
    sharers: int = 1
    plan: str | None = None

    def each(self, named: Iterable[tuple[str, T]], task: Callable[[str, T, Shared], Ended]) -> NoReturn:
        """Run a task for each undecided repository, record each result, and end the command."""
        from tagger.fleet.journal import Journal
        from tagger.fleet.names import parse_rates
        from tagger.wiring.access import Shared

        gc.enable()  # such a run may last for hours
        jobs, rates = self.many.jobs or _JOBS, parse_rates(self.many.rate or ())
        finishing = self.ran.dry_run is False
        shared = Shared(self.deadline, jobs=jobs, rates=rates, sharers=self.sharers, finishing=finishing)
        file = self.many.resume if self.plan is None else self.plan
        journal = Journal(self.ran, file, resumed=self.many.resume is not None)

        def decide(spelt: str, name: T) -> None:
            ended = task(spelt, name, shared)
            if ended.entry.failed and self.deadline.is_over():
                journal.add_undecided(ended.entry, ended.show)
                self.deadline.check()
            journal.add(ended.entry, ended.show)

        try:
            self.deadline.stream((partial(decide, *each) for each in named if journal.is_new(each[0])), jobs)
        except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - whatever it is, what was done is reported
            self._end(journal, shared, as_error(problem))
        self._end(journal, shared, None)

    def _end(self, journal: Journal, shared: Shared, ended: TaggerError | None) -> NoReturn:
        """Say how a run ended, write its metrics, and exit with the worst code."""
        journal.close()
        codes = {*journal.tally.exit_codes}
        say(journal.tally.text)
        if (idle := shared.idle_rates()) and shared.requests():
            say(f"note: --rate names {', '.join(idle)}, but no request went there")
        if self.many.metrics is not None:
            try:
                _write_metrics(self.many, self.ran, journal, shared, complete=ended is None)
            except InputError as error:
                codes.add(failure(error).exit_code)
        if isinstance(ended, TimedOut):
            again = AGAIN if self.many.resume else "allow more time, or use --resume FILE to continue later"
            seconds = f"{self.many.timeout:g} s"
            say(f"unfinished: --timeout ended the run after {seconds}, and some repositories are left: {again}")
            codes.add(UNFINISHED)
        elif ended:
            codes.add(failure(ended).exit_code)
        raise typer.Exit(max(codes, key=severity, default=0))


def ended_in(spelt: str, asked: Asked[R], many: Many, place_of: Callable[[], Place]) -> Ended:
    """Do the work in one repository; an error is a result.

    Raises TimedOut and CalledOff if nothing was decided, because the run ends.
    """
    from tagger.fleet.entry import Entry

    try:
        place = place_of()
        done = asked.do(place)
        content = asked.said(place, done)
    except (TimedOut, CalledOff):
        raise
    except Exception as problem:  # noqa: BLE001 - whatever it is, it is the result here
        error = as_error(problem)
        entry = Entry(spelt, asked.ran, error.exit_code, failed_content(error, spelt), failed=True)
        return Ended(entry, partial(_show_error, error, entry, many))
    shown = asked.shown
    changes = asked.dry_run is not None and shown.wrote(done)
    entry = Entry(spelt, asked.ran, shown.code(done), content, changes)
    return Ended(entry, partial(_show_done, shown, done, entry, many))


def _show_error(error: TaggerError, entry: Entry, many: Many) -> None:
    if many.json_lines:
        show(entry.line.rstrip("\n"))
    else:
        show_done(error)
        failure(error, where=entry.repository)


def _show_done(shown: Shown[R], done: R, entry: Entry, many: Many) -> None:
    show(entry.line.rstrip("\n") if many.json_lines else shown.text(done))


def _write_metrics(many: Many, ran: Ran, journal: Journal, shared: Shared, *, complete: bool) -> None:
    """Replace the file of metrics in one step, and keep the time of the last complete run.

    Raises InputError.
    """
    from tagger.fleet.metrics import last_complete, metrics

    path = str(many.metrics)
    file, labels = Path(path), {"command": ran.command, **({"shard": many.shard} if many.shard else {})}
    try:
        _check_regular(file)
        before = file.read_text(encoding="utf-8") if file.exists() and not complete else ""
        when = time.time() if complete else last_complete(before, labels)
        new = file.with_name(f".{file.name}.{os.getpid()}")
        new.write_text(metrics(labels, journal.tally, shared.requests(), when), encoding="utf-8")
        new.replace(file)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(f"'{printable(path)}' cannot be written ({reason})", "give another file") from None


def _check_regular(file: Path) -> None:
    """Raise OSError for a device or a pipe, which a file must not replace."""
    if file.exists() and not file.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file")
