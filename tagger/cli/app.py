"""The command line: it parses words, calls the Python API, prints, and exits; nothing else does."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from tagger import __version__
from tagger.cli import signals
from tagger.cli.options import (
    Annotate,
    AssumeNewest,
    AuthHost,
    BuildMetadata,
    DryRun,
    EnvFile,
    Force,
    Insecure,
    Json,
    Prefix,
    Quiet,
    Registry,
    RepositoryArgument,
    RepositoryPath,
    Strict,
    Summary,
    Timeout,
    Variant,
    Verbose,
    Version,
    Yes,
)
from tagger.cli.render.live import annotating, say, show, show_release, show_traceback, tell_github
from tagger.errors import Fault, InputError, Interrupted, Refused, TaggerError, Terminated
from tagger.text import in_lines, one_line

if TYPE_CHECKING:
    from tagger.api import Wanted
    from tagger.cli.render.github import Output
    from tagger.cli.render.live import Watch
    from tagger.config import Given
    from tagger.releasing.outcome import Release
    from tagger.repository.remove import Removal
    from tagger.rules.scheme import Scheme


app = typer.Typer(
    name="tagger",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

R = TypeVar("R", bound="Removal")

_SHOWN = 20
# Words that people try for a command; typer suggests what is spelt alike.
_MEANT = {
    **dict.fromkeys(("delete", "remove", "del"), "use tagger rm"),
    "list": "use tagger ls",
    **dict.fromkeys(("push", "publish"), "use tagger release"),
    "fix": "use tagger repair",
    "unyank": "bring a version back with tagger promote REPOSITORY:VERSION-yanked VERSION --force, or another image"
    " with tagger release IMAGE VERSION --force",
}
_DRIFT = 5  # the exit code of a check that found some


def main() -> None:
    """Run the command line and exit with its code."""
    gc.disable()  # a run lasts seconds: to look for garbage while everything is imported takes longer than it frees
    _open_streams()
    signals.listen()
    try:
        sys.argv[1:] = _as_text(sys.argv[1:])
        _check_command(sys.argv[1:])
        app(prog_name="tagger")
    except KeyboardInterrupt as interruption:
        signals.end_at_once()
        say("error: interrupted: run the same command again")
        _end(128 + (interruption.signal if isinstance(interruption, Terminated) else signal.SIGINT))
    except Exception as error:  # noqa: BLE001 - a user gets a sentence, whatever it is
        _end(_failure(Fault(error)).exit_code)
    except SystemExit as end:
        _end(end.code if isinstance(end.code, int) else 1)


def _as_text(words: Sequence[str]) -> list[str]:
    """Spell what is no text in a word, since typer prints words as they come; no name that a command takes holds such.

    The name of a file may.
    """
    files = ("--summary", "--env-file")
    before = ["", *words]
    return [
        word if last in files or word.partition("=")[0] in files else one_line(word)
        for last, word in zip(before, words, strict=False)
    ]


def _check_command(words: Sequence[str]) -> None:
    """End with exit code 2 for a command that has another name here."""
    if words and (meant := _MEANT.get(words[0])):
        say(f"error: there is no command '{words[0]}': {meant}")
        _end(2)


def _tags_there(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a tag of the repository that stands before it; where that cannot be asked, nothing."""
    from tagger import api

    with contextlib.suppress(Exception):
        given = context.params
        repository = given["repository"]
        found = api.listed(repository, **_hosts(given.get("insecure"), given.get("auth_host"), repository))
        return [tag for tag in found if tag.startswith(incomplete)]
    return []


def _open_streams() -> None:
    """Let output go nowhere where the caller closed stdout or stderr, or else the next file would get it.

    What stdout cannot encode is escaped.
    """
    for stream, descriptor in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, stream) is None:
            mode = "r" if descriptor == 0 else "w"
            setattr(sys, stream, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - open to the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr has it


def _end(code: int) -> NoReturn:
    """End now: pushes that a second signal left running hold threads, and those would hold up an ordinary exit."""
    signals.end_at_once()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tagger {__version__}")
        raise typer.Exit


@app.callback()
def tagger(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Give a built container image its semver tags: all of the right ones, verified, or nothing moved."""


@app.command()
def release(
    image: Annotated[
        str | None, typer.Argument(metavar="IMAGE", help="The image: a name, ID or digest that the Engine knows.")
    ] = None,
    version: Version = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Release every image of the configuration as one; then give VERSION alone.")
    ] = False,
    registry: Registry = None,
    repository: RepositoryPath = None,
    variant: Variant = None,
    prefix: Prefix = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    force: Force = False,
    floats_via: Annotated[
        str | None,
        typer.Option(
            metavar="engine|registry",
            help="How floating tags move: a push (default), or a direct write to the registry, which is faster.",
        ),
    ] = None,
    assume_newest: AssumeNewest = False,
    strict: Strict = False,
    build_metadata: BuildMetadata = "refuse",
    timeout: Timeout = None,
    summary: Summary = None,
    env_file: EnvFile = None,
    annotate: Annotate = None,
    quiet: Quiet = False,
    insecure: Insecure = None,
    auth_host: AuthHost = None,
    verbose: Verbose = False,
) -> None:
    """Release an image under the tags that its version has earned.

    These are its version tag, and every floating tag that no newer version holds.

    Example: tagger release image-gallery 2.1.106 --registry registry.local:5000 --repository gallery/ui
    """
    name, spelt = (None, image) if everything else (image, version)

    def run(watch: Watch) -> Release:
        from tagger import api

        if spelt is None or (everything and version is not None):
            raise InputError("say what to release: IMAGE and VERSION, or --all and VERSION for every configured image")
        said = _said(variant, prefix, registry, repository, floats_via=floats_via, auth_host=auth_host)
        wanted, via, auth_hosts = _wanted(name, said)
        return api.release_all(
            wanted,
            spelt,
            dry_run=dry_run,
            force=force,
            floats_via=via,
            assume_newest=assume_newest,
            strict=strict,
            build_metadata=build_metadata,
            timeout=timeout,
            insecure=insecure or (),
            auth_host=auth_hosts,
            progress=watch.progress,
            trace=_tracing(verbose),
            meter=watch.meter,
        )

    _released(
        run, _Asked(name or "", spelt or "", dry_run), _Outputs(as_json, quiet, summary, env_file, annotating(annotate))
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a release was asked to be, for the report of one that could not begin."""

    image: str
    version: str
    dry_run: bool


@dataclass(frozen=True, slots=True)
class _Outputs:
    """Where and how a release is reported."""

    as_json: bool
    quiet: bool
    summary: str | None
    env_file: str | None
    annotated: bool


def _released(run: Callable[[Watch], Release], asked: _Asked, outputs: _Outputs) -> None:
    """Run a release, and report it wherever it is to be reported, however it ends."""
    from tagger.cli.render.github import opened
    from tagger.cli.render.live import Watch

    error: TaggerError | None = None
    files: list[Output | None] = []  # none where one cannot be opened: that is said once
    try:
        files = [opened(outputs.summary), opened(outputs.env_file)]
        with Watch(quiet=outputs.quiet) as watch:
            done = run(watch)
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - whatever it is, it is reported
        error = _as_error(problem)
        done = error.release or _not_begun(asked, error)
    _report(done, files, outputs, failed=error is not None)
    if error:
        raise _failure(error, annotated=outputs.annotated) from None


def _not_begun(asked: _Asked, error: TaggerError) -> Release:
    from tagger.releasing.outcome import Release

    return Release.not_begun(asked.image, asked.version, error, dry_run=asked.dry_run)


def _report(done: Release, files: Sequence[Output | None], outputs: _Outputs, *, failed: bool) -> None:
    """Write the files, and print; a file that can no longer be written is named, and changes nothing."""
    from tagger.cli.render import text as report
    from tagger.cli.render.github import append

    for file, write in zip(files, (report.release_markdown, report.release_variables), strict=False):
        try:
            append(file, write(done))
        except TaggerError as problem:
            say(str(problem))
    for warning in done.warnings if outputs.annotated else ():
        tell_github("warning", warning)
    if outputs.as_json:
        show(report.as_json(report.release_content(done)))
    elif (done.repositories or not failed) and not show_release(done):
        show(report.release_text(done))


def _wanted(image: str | None, said: Given) -> tuple[list[Wanted], str, list[str]]:
    """Say what to release, how floating tags move, and the hosts of token servers, by the configuration.

    No image means every one that it names.
    """
    from tagger import config
    from tagger.api import Wanted

    if image is not None:
        chosen = {image: config.read(said, os.environ, Path(), image)}
        config.check_one(chosen[image].tables)
    else:
        if said.repository is not None:
            raise InputError("--all and --repository exclude each other: give each image its repository in its table")
        chosen = {str(found.image): found for found in config.read_all(said, os.environ, Path())}
    ways = dict.fromkeys(found.settings.floats_via for found in chosen.values())
    if len(ways) > 1:
        raise InputError("the images differ in floats_via: say it for all of them with --floats-via")
    wanted = [
        Wanted(name, found.settings.registries, found.settings.repository, found.schemes())
        for name, found in chosen.items()
    ]
    auth_hosts = dict.fromkeys(host for found in chosen.values() for host in found.settings.auth_hosts)
    return wanted, next(iter(ways)), [*auth_hosts]


def _said(
    variant: list[str] | None,
    prefix: str | None,
    registry: list[str] | None = None,
    repository: str | None = None,
    *,
    floats_via: str | None = None,
    auth_host: list[str] | None = None,
) -> Given:
    """Say what the command line says."""
    from tagger.config import Given

    return Given(
        registries=tuple(registry) if registry else None,
        repository=repository,
        variants=tuple(variant) if variant else None,
        prefix=prefix,
        floats_via=floats_via,
        auth_hosts=tuple(auth_host) if auth_host else None,
    )


def _schemes(variant: list[str] | None, prefix: str | None, repository: str | None = None) -> tuple[Scheme, ...]:
    from tagger import config

    return config.read(_said(variant, prefix), os.environ, Path(), repository).schemes()


def _schemes_to_write(variant: list[str] | None, prefix: str | None, repositories: Sequence[str]) -> tuple[Scheme, ...]:
    """Give the lines of the first repository, after a look at all: one image is not the images of several tables."""
    from tagger import config

    found = [config.read(_said(variant, prefix), os.environ, Path(), repository) for repository in repositories]
    for each in found:
        config.check_one(each.sharing)
    return found[0].schemes()


@app.command()
def promote(
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="The image: REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@DIGEST."),
    ] = None,
    version: Version = None,
    to: Annotated[
        list[str] | None,
        typer.Option(metavar="REPOSITORY", help="Where to release it; else where SOURCE is. May be repeated."),
    ] = None,
    platform_image: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REFERENCE", help="An image of one platform, to be joined with the others; then give VERSION alone."
        ),
    ] = None,
    variant: Variant = None,
    prefix: Prefix = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    force: Force = False,
    assume_newest: AssumeNewest = False,
    strict: Strict = False,
    build_metadata: BuildMetadata = "refuse",
    timeout: Timeout = None,
    summary: Summary = None,
    env_file: EnvFile = None,
    annotate: Annotate = None,
    quiet: Quiet = False,
    insecure: Insecure = None,
    auth_host: AuthHost = None,
    verbose: Verbose = False,
) -> None:
    """Release an image that is in a registry, digest unchanged.

    It needs no Engine. What other repositories lack is copied there: all platforms, signatures and attestations.

    Example: tagger promote registry.local:5000/gallery/ui:build-77 2.1.106
    """
    sources, spelt = (platform_image, source) if platform_image else ([source] if source else [], version)

    def run(watch: Watch) -> Release:
        from tagger import api

        if not sources or spelt is None or (platform_image and version is not None):
            raise InputError("say what to promote: SOURCE and VERSION, or VERSION alone with --platform-image")
        return api.promote(
            sources if platform_image else sources[0],
            spelt,
            to=to or (),
            schemes=_schemes_to_write(variant, prefix, to or sources),
            dry_run=dry_run,
            force=force,
            assume_newest=assume_newest,
            strict=strict,
            build_metadata=build_metadata,
            timeout=timeout,
            **_hosts(insecure, auth_host, to[0] if to else sources[0]),
            progress=watch.progress,
            trace=_tracing(verbose),
            meter=watch.meter,
        )

    _released(
        run,
        _Asked(", ".join(sources), spelt or "", dry_run),
        _Outputs(as_json, quiet, summary, env_file, annotating(annotate)),
    )


@app.command()
def tags(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Such as 2.1.106; or git: the semver tag at HEAD.")],
    variant: Variant = None,
    prefix: Prefix = None,
    build_metadata: BuildMetadata = "refuse",
    verbose: Verbose = False,  # noqa: ARG001 - it counts wherever it stands
) -> None:
    """Print the cascade of a version, offline.

    It is one tag a line, the most specific first.
    """
    from tagger.git import parse_asked

    try:
        wanted = parse_asked(version, build_metadata=build_metadata).version
        show("\n".join(tag for scheme in _schemes(variant, prefix) for tag in scheme.tags(wanted)))
    except TaggerError as error:
        raise _failure(error) from None


@app.command()
def ls(
    repository: RepositoryArgument,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help="Show this many versions, 0 for all. Default: 20, and all with --json."),
    ] = None,
    as_json: Json = False,
    variant: Variant = None,
    prefix: Prefix = None,
    insecure: Insecure = None,
    auth_host: AuthHost = None,
    verbose: Verbose = False,
) -> None:
    """List the versions, what floats to each, and what drifted.

    The newest comes first; the tags that are no versions come last.
    """
    from tagger import api
    from tagger.cli.render import text as report

    most = (0 if as_json else _SHOWN) if limit is None else limit
    with _failing(repository, as_json):
        schemes = _schemes(variant, prefix, repository)
        hosts, trace = _hosts(insecure, auth_host, repository), _tracing(verbose)
        found = api.ls(repository, limit=most or None, schemes=schemes, **hosts, progress=say, trace=trace)
        show(report.as_json(report.listing_content(found)) if as_json else report.listing_text(found))


@app.command()
def check(
    repository: RepositoryArgument,
    as_json: Json = False,
    variant: Variant = None,
    prefix: Prefix = None,
    insecure: Insecure = None,
    auth_host: AuthHost = None,
    verbose: Verbose = False,
) -> None:
    """Exit with 5 if a floating tag is missing or out of place.

    The published versions say where each one belongs. Only the lines of the settings, or of --variant and --prefix,
    are checked: tags that seem to belong to others are named.
    """
    from tagger import api
    from tagger.cli.render import text as report

    with _failing(repository, as_json):
        schemes = _schemes(variant, prefix, repository)
        hosts, trace = _hosts(insecure, auth_host, repository), _tracing(verbose)
        found = api.check(repository, schemes=schemes, **hosts, progress=say, trace=trace)
        show(report.as_json(report.check_content(found)) if as_json else report.check_text(found))
    raise typer.Exit(0 if found.ok else _DRIFT)


@app.command()
def repair(
    repository: RepositoryArgument,
    dry_run: DryRun = False,
    as_json: Json = False,
    variant: Variant = None,
    prefix: Prefix = None,
    insecure: Insecure = None,
    auth_host: AuthHost = None,
    verbose: Verbose = False,
) -> None:
    """Put floating tags back where the published versions say.

    They move in the registry, digest for digest.
    """
    from tagger import api
    from tagger.cli.render import text as report

    with _failing(repository, as_json):
        schemes = _schemes(variant, prefix, repository)
        hosts, trace = _hosts(insecure, auth_host, repository), _tracing(verbose)
        done = api.repair(repository, schemes=schemes, dry_run=dry_run, **hosts, progress=say, trace=trace)
        show(report.as_json(report.repair_content(done)) if as_json else report.repair_text(done))


@app.command()
def rm(
    repository: RepositoryArgument,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="VERSION|TAG...", help="What is to go.", autocompletion=_tags_there),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove every tag of the repository.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    variant: Variant = None,
    prefix: Prefix = None,
    insecure: Insecure = None,
    auth_host: AuthHost = None,
    verbose: Verbose = False,
) -> None:
    """Remove versions or tags, and lose no other tag.

    Floating tags fall back to the next version first. What would go is shown first, and asked for.

    Example: tagger rm registry.local:5000/gallery/ui 2.0.0 --dry-run
    """
    from tagger import api
    from tagger.cli.render import text as report

    with _failing(repository, as_json):
        if bool(names) == everything:
            raise InputError("say what is to go: versions or tags by name, or everything with --all")
        scope: dict[str, Any] = {
            "schemes": _schemes(variant, prefix, repository),
            **_hosts(insecure, auth_host, repository),
        }
        remove = partial(api.remove, repository, **scope, trace=_tracing(verbose))
        remove_all = partial(api.remove_all, repository, **scope, progress=say, trace=_tracing(verbose))
        done = _after_asking(
            remove_all if everything else partial(remove, *(names or ()), progress=say),
            lambda agreed: remove(*(names or agreed)),
            report.removal_text,
            dry_run=dry_run,
            yes=yes,
        )
        show(report.as_json(report.removal_content(done)) if as_json else report.removal_text(done))


@app.command()
def yank(
    repository: RepositoryArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version that nobody is to get any more.")],
    dry_run: DryRun = False,
    as_json: Json = False,
    variant: Variant = None,
    prefix: Prefix = None,
    insecure: Insecure = None,
    auth_host: AuthHost = None,
    verbose: Verbose = False,
) -> None:
    """Take a bad version out of the running, and keep its image.

    Floating tags fall back to the version before. The image is kept as VERSION-yanked, to which nothing floats, and
    the version cannot be released again without --force. Its own tag goes where the registry can delete.
    """
    from tagger import api
    from tagger.cli.render import text as report

    with _failing(repository, as_json):
        schemes = _schemes(variant, prefix, repository)
        hosts, trace = _hosts(insecure, auth_host, repository), _tracing(verbose)
        done = api.yank(repository, version, schemes=schemes, dry_run=dry_run, **hosts, progress=say, trace=trace)
        show(report.as_json(report.yank_content(done)) if as_json else report.yank_text(done))


@app.command()
def prune(
    repository: RepositoryArgument,
    keep: Annotated[
        int, typer.Option(metavar="N", help="Keep the newest N stable versions of each minor series (2.1.x, 2.0.x).")
    ],
    keep_minors: Annotated[
        int | None,
        typer.Option(metavar="N", help="Keep the newest N minor series of each major version. Default: all."),
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="DAYS", help="Only what was built longer ago goes, such as 180d.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    variant: Variant = None,
    prefix: Prefix = None,
    insecure: Insecure = None,
    auth_host: AuthHost = None,
    verbose: Verbose = False,
) -> None:
    """Remove old versions, line by line.

    An image stays while a tag holds it that is not to go, such as a floating tag. A pre-release goes only if its first
    identifier is a known stage (alpha, beta, rc, pre, preview, dev, snapshot, nightly, canary, or a channel of the
    settings): any other may be a rebuild or a variant, so it stays and is listed as not understood. What would go is
    shown first, and asked for.

    Example: tagger prune registry.local:5000/gallery/ui --keep 5 --keep-minors 3 --older-than 180d --dry-run
    """
    from tagger import api
    from tagger.cli.render import text as report

    with _failing(repository, as_json):
        policy: dict[str, Any] = {"keep": keep, "keep_minors": keep_minors, "older_than": older_than}
        hosts = _hosts(insecure, auth_host, repository)
        scope: dict[str, Any] = {"schemes": _schemes(variant, prefix, repository), **hosts, "progress": say}
        pruning = partial(api.prune, repository, **policy, **scope, trace=_tracing(verbose))
        done = _after_asking(
            pruning, lambda agreed: pruning(among=agreed), report.pruning_text, dry_run=dry_run, yes=yes
        )
        show(report.as_json(report.pruning_content(done)) if as_json else report.pruning_text(done))


def _after_asking(
    remove: Callable[..., R],
    exactly: Callable[[Sequence[str]], R],
    text: Callable[[R], str],
    *,
    dry_run: bool,
    yes: bool,
) -> R:
    """Remove what there is to remove; unless `yes`, show it and ask first, and then remove `exactly` that.

    Ends the command where the answer is no. Raises InputError where nobody can answer, and Refused when something else
    would go by the time of the answer.
    """
    if dry_run or yes:
        return remove(dry_run=dry_run)
    if not sys.stdin.isatty():
        raise InputError("not a terminal, so nothing was removed: check with --dry-run, then pass --yes")
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
        raise Refused("the tags changed before the answer, so nothing was removed: run the same command again")
    return exactly(found.removed)


@app.command(name="next")
def next_version(
    repository: RepositoryArgument,
    patch: Annotated[bool, typer.Option("--patch", help="Compatible bug fixes.")] = False,
    minor: Annotated[bool, typer.Option("--minor", help="New features that break nothing.")] = False,
    major: Annotated[bool, typer.Option("--major", help="Changes that break what relies on the API.")] = False,
    pre: Annotated[
        str | None, typer.Option(metavar="LABEL", help="A pre-release, such as rc, of that or alone.")
    ] = None,
    first: Annotated[
        bool, typer.Option("--first", help="Nothing is released yet: the repository need not exist.")
    ] = False,
    variant: Variant = None,
    prefix: Prefix = None,
    insecure: Insecure = None,
    auth_host: AuthHost = None,
    verbose: Verbose = False,
) -> None:
    """Print the version after the greatest one released.

    Example: tagger promote registry.local:5000/gallery/ui:build-77
    "$(tagger next registry.local:5000/gallery/ui --minor)"
    """
    from tagger import api

    parts = [part for part, asked in (("patch", patch), ("minor", minor), ("major", major)) if asked]
    with _failing(repository, as_json=False):
        if len(parts) > 1 or not (parts or pre):
            raise InputError("say which version is next: one of --patch, --minor and --major, or --pre with a label")
        part = parts[0] if parts else None
        schemes = _schemes(variant, prefix, repository)
        hosts, trace = _hosts(insecure, auth_host, repository), _tracing(verbose)
        show(
            api.next_version(
                repository, part, pre=pre, first=first, schemes=schemes, **hosts, progress=say, trace=trace
            )
        )


@app.command()
def doctor(
    repository: Annotated[
        str | None,
        typer.Argument(metavar="REPOSITORY", help="The repository to ask for; else those that the settings name."),
    ] = None,
    as_json: Json = False,
    insecure: Insecure = None,
    auth_host: AuthHost = None,
    verbose: Verbose = False,
) -> None:
    """Say what works from here, what does not, and what to do.

    It looks at the settings, the Docker configuration, the Engine and proxies. Of a repository it finds out which
    credential serves and where that comes from (never its value), the scheme, CAs, the token server, the rights to
    pull, push and delete, and how the registry deletes, lists and answers. Each check is a line: ok, note or problem.
    With a problem the exit code is 1.

    No tag and no image changes: an upload that shows the right to push is begun and given up at once, and the names
    that it tries to delete are not there. A registry that creates a repository for the first push, such as Quay, may
    create an empty one.

    Example: tagger doctor registry.local:5000/gallery/ui
    """
    from tagger import api
    from tagger.cli.render import text as report

    with _failing(repository or "", as_json):
        hosts = {"insecure": insecure or (), "auth_host": auth_host or ()}
        found = api.diagnose(repository, **hosts, progress=say, trace=_tracing(verbose))
        show(report.as_json(report.diagnosis_content(found)) if as_json else report.diagnosis_text(found))
    raise typer.Exit(0 if found.ok else 1)


@app.command()
def completion(
    shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="The shell to write it for.")],
    verbose: Verbose = False,  # noqa: ARG001 - it counts wherever it stands
) -> None:
    """Print what makes a shell complete commands, options and, for rm, tags.

    Example: eval "$(tagger completion bash)"
    """
    from tagger.cli import completion

    try:
        show(completion.script(shell))
    except TaggerError as error:
        raise _failure(error) from None


@app.command(name="config")
def show_config(
    image: Annotated[
        str | None, typer.Argument(metavar="IMAGE", help="An image or repository, whose table counts if it has one.")
    ] = None,
    registry: Registry = None,
    repository: RepositoryPath = None,
    variant: Variant = None,
    prefix: Prefix = None,
    as_json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - it counts wherever it stands
) -> None:
    """Print the settings in force, and where each comes from.

    These are the command line, TAGGER_* in the environment, and tagger.toml or [tool.tagger] of pyproject.toml, in the
    working directory or above it within the checkout.
    """
    from tagger import config

    try:
        found = config.read(_said(variant, prefix, registry, repository), os.environ, Path(), image)
        show(config.as_json(found) if as_json else config.as_text(found))
        found.schemes()
    except TaggerError as error:
        raise _failure(error) from None


def _hosts(insecure: list[str] | None, auth_host: list[str] | None, repository: str) -> dict[str, Any]:
    from tagger import config

    found = config.read(_said(None, None, auth_host=auth_host), os.environ, Path(), repository)
    return {"insecure": insecure or [], "auth_host": found.settings.auth_hosts}


def _tracing(verbose: bool) -> Callable[[str], None] | None:
    return say if verbose or _verbose() else None


@contextlib.contextmanager
def _failing(repository: str, as_json: bool) -> Iterator[None]:
    """Show an error as every command does, with what was done by then, and exit with its code."""
    from tagger.cli.render import text as report

    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - whatever it is, it is reported
        error = _as_error(problem)
        if as_json:
            done = report.removal_content(error.removal) if error.removal else {"repository": repository}
            show(report.as_json({**done, "error": str(error)}))
        elif error.removal:
            show(report.removal_text(error.removal))
        raise _failure(error) from None


def _as_error(problem: Exception | KeyboardInterrupt) -> TaggerError:
    """Give the error that says what ended a command: whatever is not ours to raise is a signal, or a fault of ours."""
    if isinstance(problem, TaggerError):
        return problem
    if isinstance(problem, KeyboardInterrupt):
        return Interrupted("interrupted: run the same command again", problem)
    return Fault(problem)


def _failure(error: TaggerError, *, annotated: bool | None = None) -> typer.Exit:
    if annotating(annotated):
        tell_github("error", str(error))
    if error.__cause__ and _verbose():
        show_traceback(error.__cause__)
    say(f"error: {error}")
    return typer.Exit(error.exit_code)


def _verbose() -> bool:
    """Say whether --verbose stands anywhere on the command line, also where typer did not come to read it."""
    options = takewhile(lambda word: word != "--", sys.argv[1:])
    return any(word == "--verbose" or re.fullmatch("-[hqvy]*v[hqvy]*", word) for word in options)
