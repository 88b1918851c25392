"""The check of a settings file: every key, every table, the tags of every image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tagger.config.file import File, examined
from tagger.config.places import targets
from tagger.config.read import in_force, looked_for, with_policy
from tagger.config.settings import Config, Given
from tagger.errors import InputError, TaggerError
from tagger.gating.command import parsed
from tagger.names import Registry
from tagger.text import printable
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """The problems of a settings file and of the environment variables, one sentence each."""

    file: Path
    images: tuple[str, ...]
    problems: tuple[TaggerError, ...]


def check(environment: Mapping[str, str], folder: Path) -> Verdict:
    """Check the whole settings file of a folder, alone and together with the environment variables.

    Raises InputError when there is no file, and for one that cannot be read.
    """
    file = examined(environment, folder)
    if file is None:
        raise InputError(f"there is no {looked_for(folder)}", "run this where your settings are")
    alone = [*file.problems, *_problems({}, file)]
    problems = alone or [*_problems(environment, file)]
    return Verdict(file.path, tuple(file.images), tuple({str(each): each for each in problems}.values()))


def _problems(environment: Mapping[str, str], file: File) -> Iterator[TaggerError]:
    """Yield the problems of the settings at the file's top, of each image, and of images together."""
    for policy in file.policies:
        try:
            _references(file, with_policy(environment, file, policy), None)
        except TaggerError as problem:
            yield InputError(f"{file.label}: {policy.name}: {problem.what}", problem.hint)
    written: dict[str, str] = {}
    for name in (None, *file.images):
        try:
            config = in_force(Given(), environment, file, [name] if name else ())
            if name:
                in_force(Given(), environment, file, file.sharing(file.repository(name)))
        except TaggerError as problem:
            yield problem
            continue
        where = f"{file.label}: images.{printable(name)}" if name else file.label
        try:
            references = _references(file, config, name)
        except TaggerError as problem:
            yield problem if file.label in str(problem) else InputError(f"{where}: {problem.what}", problem.hint)
            continue
        for reference in references:
            first = written.setdefault(reference, name or "")
            if first != name:
                yield InputError(
                    f"{where} and images.{printable(first)} would both write {reference}",
                    "give each its own repository or variant",
                )
                break


def _references(file: File, config: Config, name: str | None) -> list[str]:
    """Return the references that an example version would get; none for the file's top, which is for any image.

    Raises what a release with these settings would raise.
    """
    parsed([*config.settings.gates, *config.settings.after])
    for registry in config.settings.registries:
        Registry.parse(registry)
    tags = [tag for scheme in config.all_schemes() for tag in scheme.sample()]
    places = [*map(str, targets(config, name))] or [file.repository(name) or name] if name else []
    return [f"{place}:{tag}" for place in places for tag in tags]
