"""The completions of a word in a shell.

The user waits, and the shell cannot show errors: if a question takes too long or fails, there are no completions.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer

from tagger.errors import InvalidReference
from tagger.names import Repository

_SECONDS = 3.0
# Shells evaluate completions. No image and no tag needs another character, but a checkout or a registry may hold
# anything.
_HARMLESS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/@+-]*")


def one_of(*words: str) -> Callable[[str], list[str]]:
    """Offer some words."""

    def offer(incomplete: str) -> list[str]:
        return _beginning(incomplete, words)

    return offer


def tables(incomplete: str) -> list[str]:
    """Offer the images that the settings have a table for."""
    return _beginning(incomplete, _in_time(_tables()))


def images(incomplete: str) -> list[str]:
    """Offer the images of the settings, and those of the Engine."""
    return _beginning(incomplete, [*_in_time(_tables()), *_in_time(_images())])


def tags_there(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the tags of the repository in an earlier argument."""
    return _beginning(incomplete, _in_time(_tags(context.params["repository"], context.params)))


def tagged(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the tags of the repository before the colon of the word, or without one, the repositories of the settings.

    The name of a table is no source: without a registry, a source is in Docker Hub.
    """
    named, colon, tag = incomplete.rpartition(":")
    if not colon or "/" in tag:
        return _beginning(incomplete, _in_time(_repositories()))
    try:
        repository = Repository.parse(named)
    except InvalidReference:
        return []
    found = _in_time(_tags(str(repository), context.params))
    return _beginning(incomplete, [f"{named}:{each}" for each in found])


def commands(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the commands of tagger."""
    program: Any = context.find_root().command
    return _beginning(incomplete, program.commands)


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return [*dict.fromkeys(word for word in words if word.startswith(incomplete) and _HARMLESS.fullmatch(word))]


def _in_time(ask: Callable[[], Iterable[str]]) -> list[str]:
    found: list[list[str]] = []

    def run() -> None:
        with contextlib.suppress(Exception):
            found.append([*ask()])

    thread = threading.Thread(target=run, daemon=True)  # nobody waits for its end
    thread.start()
    thread.join(_SECONDS)
    return found[0] if found else []


# Slow modules are imported before the time counts.


def _tables() -> Callable[[], Iterable[str]]:
    from tagger.config.file import opened

    def ask() -> Iterable[str]:
        file = opened(os.environ, Path())
        return file.images if file else ()

    return ask


def _repositories() -> Callable[[], Iterable[str]]:
    from tagger.config.places import targets
    from tagger.config.read import read_any
    from tagger.config.settings import Given

    return lambda: (str(there) for each in read_any(Given(), os.environ, Path()) for there in targets(each, each.image))


def _images() -> Callable[[], Iterable[str]]:
    import docker  # noqa: F401 - the Engine's client imports it when it connects

    from tagger.credentials.docker import DockerConfig
    from tagger.engine.client import Engine

    return lambda: (name.removesuffix(":latest") for name in Engine(DockerConfig.load(), lambda _: None).names())


def _tags(named: str, typed: dict[str, Any]) -> Callable[[], Iterable[str]]:
    from tagger.api import look as api
    from tagger.config.places import places
    from tagger.config.settings import Given

    def ask() -> Iterable[str]:
        for place in places(Given(), os.environ, Path(), named):
            hosts = typed.get("auth_host") or place.config.settings.auth_hosts
            yield from api.listed(place.repository, insecure=typed.get("insecure") or (), auth_host=hosts)

    return ask
