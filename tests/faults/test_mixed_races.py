"""Commands of every kind at the same time, each in its own process, while somebody else pushes without tagger."""

from __future__ import annotations

import json
import random
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from command import Ran
from doubles import Proxy
from launcher import Launched, launched
from pushed import MANIFEST, Repository, digest_of
from services import Engine, Registry
from shop import SCHEME, copied, deletes_single_tags, throw_aways
from stage import Unrest
from thinned import EVERY

from tagger.names import Tag
from tagger.rules.resolve import Published, resolve
from tagger.rules.version import parse_version

Tell = Callable[[str], None]
OLD = ("1.9.9", "2.0.8", "2.0.9", "2.1.104", "2.1.105", "2.1.106")
BUILDS = {"1.9.10": "build-76", "2.0.10": "build-77", "2.1.107": "build-78", "2.2.0": "build-79"}
PUSHED = "2.1.108"
FLOATS = ("1.9", "1", "2.0", "2.1", "2", "latest")


@dataclass(frozen=True, slots=True)
class Stock:
    """A repository that every round begins with, and the digest of each version, published or to be.

    An Engine has the image of one of them.
    """

    repository: Repository
    engine: Engine
    built: str
    images: Mapping[str, str]
    foreign: bytes


@pytest.fixture(scope="module")
def stock(engine: Engine, registry: Registry) -> Stock:
    repository = Repository(registry, f"races/stock-{secrets.token_hex(4)}")
    images = {tag: repository.image(tag, tag, layers=1) for tag in (*OLD, *BUILDS.values(), "nightly")}
    for tag, owner in resolve(map(parse_version, OLD), SCHEME).items():
        assert registry.put(repository.path, tag, images[str(owner)].body, MANIFEST) == 201
    digests = {version: images[BUILDS.get(version, version)].digest for version in (*OLD, *BUILDS)}
    built = f"{registry.host}/{repository.path}:build-80"
    engine.image(built, repository.path)
    engine.docker("push", "--quiet", built)
    digests[PUSHED] = registry.digest(repository.path, "build-80") or ""
    return Stock(repository, engine, built, digests, images["nightly"].body)


@dataclass(frozen=True, slots=True)
class Told:
    """A command as it was given, and what it may take away: version or other tags."""

    words: str
    releases: str | None = None
    yanks: str | None = None
    undoes: str | None = None
    removes: str | None = None
    prunes: bool = False


def drawn(chance: random.Random) -> list[Told]:
    """Draw what goes on in a round: always something that writes and something that takes away."""
    released = chance.sample(sorted(BUILDS), chance.choice((1, 1, 2)))
    named = chance.sample(OLD, 2)
    found = [Told(f"promote HERE:{BUILDS[version]} {version}", releases=version) for version in released]
    taking = [
        Told(f"rm HERE {named[0]} --yes", removes=named[0]),
        Told(f"yank HERE {named[1]}", yanks=named[1]),
        Told("prune HERE --keep 1 --yes", prunes=True),
        Told(f"rm HERE {BUILDS[released[0]]} --yes", removes=BUILDS[released[0]]),
    ]
    found += chance.sample(taking, chance.choice((1, 2, 2, 3)))
    if chance.random() < 0.4:
        found.append(Told(f"yank HERE {named[1]} --undo", undoes=named[1]))
    if chance.random() < 0.5:
        found.append(Told("repair HERE"))
    if chance.random() < 0.5:
        found.append(Told(f"release BUILT {PUSHED} --registry HOST --repository PATH", releases=PUSHED))
    return found


@dataclass(slots=True)
class Race:
    """One round: its commands, how they ended, and what is wrong then."""

    stock: Stock
    seed: int
    repository: Repository = field(init=False)
    told: list[Told] = field(init=False)
    pushed: str | None = None
    runs: list[Ran] = field(default_factory=list)

    def run(self) -> list[str]:
        """Run all commands to their ends, and yield what is wrong then, and what is wrong after a repair."""
        chance = random.Random(self.seed)
        self.repository = copied(self.stock.repository, f"races/mixed-{secrets.token_hex(6)}")
        self.told = drawn(chance)
        registry = self.repository.registry
        with Proxy(registry.host) as proxy:
            if chance.random() < 0.5:
                proxy.intercept(deletes_single_tags(registry))
            proxy.intercept(Unrest(chance))
            path = self.repository.path
            words = {"HERE": f"{proxy.host}/{path}", "HOST": proxy.host, "PATH": path, "BUILT": self.stock.built}
            filled = [re.sub("|".join(words), lambda word: words[word[0]], told.words) for told in self.told]
            started = [Launched(self.stock.engine, *each.split(), "--json") for each in filled]
            if chance.random() < 0.4:
                self.pushed = chance.choice(FLOATS)
                time.sleep(chance.random())
                assert registry.put(self.repository.path, self.pushed, self.stock.foreign, MANIFEST) == 201
            self.runs = [process.wait() for process in started]
        held = registry.snapshot(self.repository.path)
        wrong = [*self._broken(held), *self._untrue(held)]
        if self._astray(held):
            repaired = launched(None, "repair", f"{registry.host}/{self.repository.path}")
            after = registry.snapshot(self.repository.path)
            told = f"after a repair, exit {repaired.code}"
            wrong += [f"{told}: {each}" for each in (*self._broken(after), *self._astray(after))]
            wrong += [f"{told}: {repaired.err}"] if repaired.code else []
        return [f"round {self.seed}: {each}" for each in wrong] + ([self._story(held)] if wrong else [])

    def _broken(self, held: Mapping[str, str]) -> Iterator[str]:
        """Yield the versions and images that are wrong or lost."""
        known = {*self.stock.images.values(), digest_of(self.stock.foreign)}
        for tag in throw_aways(self.repository, {t: d for t, d in held.items() if d not in known}):
            yield f"{tag} holds a throw-away manifest"
        for tag, digest in held.items():
            if digest != self._belongs(tag, digest):
                yield f"{tag} holds another image, {digest}"
        released = [told.releases for told, ran in self._ended() if told.releases and ran.code == 0]
        there = {tag.removesuffix("-yanked") for tag in held}
        for tag in {*OLD, *released, *BUILDS.values()} - there - self._may_go():
            yield f"{tag} is lost"

    def _belongs(self, tag: str, digest: str) -> str:
        """Return what a version tag or a mark must hold; any other tag may hold anything."""
        version = str(SCHEME.parse(Tag(tag)) or "").removesuffix("-yanked")
        return self.stock.images[version] if version else digest

    def _untrue(self, held: Mapping[str, str]) -> Iterator[str]:
        """Yield what contradicts the exit codes; only a foreign push makes its own tag drift."""
        undone = {told.undoes for told in self.told}
        for told, ran in self._ended():
            if ran.code not in {0, 1, 2, 3, 4}:
                yield f"{told.words}: exit {ran.code}"
            if ran.code == 0 and told.yanks and told.yanks not in undone and f"{told.yanks}-yanked" not in held:
                yield f"{told.yanks} was yanked, and has no mark"
            if ran.code == 0 and told.removes in held:
                yield f"{told.removes} was removed, and is there"
        if not any(ran.code for ran in self.runs):
            yield from (f"every command said 0, and {tag} drifted" for tag in self._astray(held) if tag != self.pushed)

    def _may_go(self) -> set[str]:
        """The tags that a command reported: what prune removed, or could have removed where it failed."""
        gone = {told.removes for told in self.told if told.removes}
        for told, ran in self._ended():
            if told.prunes:
                gone |= {*OLD} if ran.code else {*json.loads(ran.out)["removed"]}
        return gone

    def _astray(self, held: Mapping[str, str]) -> list[str]:
        versions = Published.of([Tag(tag) for tag in held], SCHEME).versions
        owners = resolve(versions, SCHEME)
        return [str(tag) for tag, owner in owners.items() if held.get(tag) != held[versions[owner]]]

    def _ended(self) -> Iterator[tuple[Told, Ran]]:
        return zip(self.told, self.runs, strict=True)

    def _story(self, held: Mapping[str, str]) -> str:
        names = {digest: version for version, digest in self.stock.images.items()}
        lines = [f"    {told.words}: exit {ran.code} {ran.error if ran.code else ''}" for told, ran in self._ended()]
        tags = ", ".join(
            f"{tag}={names.get(digest, digest[7:15])}" for tag, digest in held.items() if names.get(digest) != tag
        )
        return "\n".join([*lines, f"    pushed {self.pushed}; tags: {tags}; there: {sorted(held)}"])


@pytest.mark.engine
@pytest.mark.parametrize(
    "seeds",
    [range(1), *(pytest.param(range(start, start + 50), marks=pytest.mark.long) for start in range(0, 200, 50))],
    ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}",
)
def test_concurrent_commands_lose_nothing_and_publish_nothing_wrong(
    stock: Stock, seeds: Sequence[int], tell: Tell
) -> None:
    races = [Race(stock, seed) for seed in seeds[::EVERY]]
    begun = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        wrong = [line for lines in pool.map(Race.run, races) for line in lines]
    assert not wrong, "\n".join(wrong)
    ended = Counter(f"{told.words.split()[0]} {ran.code}" for race in races for told, ran in race._ended())
    told = ", ".join(f"{what}: {number}" for what, number in sorted(ended.items()))
    pushes = sum(race.pushed is not None for race in races)
    tell(f"{len(races)} mixed races, {pushes} with a foreign push, in {time.monotonic() - begun:.0f} s; exits {told}")
