"""Whether a settings file holds up: every key, every table, the tags of every image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tagger.config.file import File, examined
from tagger.config.places import targets
from tagger.config.read import in_force, looked_for
from tagger.config.settings import Given
from tagger.errors import InputError, TaggerError
from tagger.rules.version import parse_version
from tagger.text import printable

_EXAMPLE = "7.8.9"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a settings file and with the variables of the environment, a sentence each."""

    file: Path
    images: tuple[str, ...]
    problems: tuple[TaggerError, ...]


def check(environment: Mapping[str, str], folder: Path) -> Verdict:
    """Check the whole file that counts in a folder, by itself and under the variables of the environment.

    Raises InputError when there is no file, and for one that cannot be read.
    """
    file = examined(environment, folder)
    if file is None:
        raise InputError(f"there is no {looked_for(folder)}", "run this where your settings are")
    alone = [*file.problems, *_problems({}, file)]
    problems = alone or [*_problems(environment, file)]
    return Verdict(file.path, tuple(file.images), tuple({str(each): each for each in problems}.values()))


def _problems(environment: Mapping[str, str], file: File) -> Iterator[TaggerError]:
    """Yield what is wrong with what is in force at the file's top, for each image, and for images together."""
    written: dict[str, str] = {}
    for name in (None, *file.images):
        try:
            config = in_force(Given(), environment, file, [name] if name else ())
            tags = [tag for scheme in config.schemes() for tag in scheme.tags(parse_version(_EXAMPLE))]
            if name:
                in_force(Given(), environment, file, file.sharing(file.repository(name)))
            places = [*map(str, targets(config, name))] or [file.repository(name) or name] if name else []
        except TaggerError as problem:
            yield problem
            continue
        for reference in (f"{place}:{tag}" for place in places for tag in tags):
            first = written.setdefault(reference, name or "")
            if first != name:
                both = f"images.{printable(first)} and images.{printable(name)}"
                yield InputError(
                    f"{file.label}: {both} would both write {reference}",
                    "give each a repository or a variant of its own",
                )
                break
