"""Every case that is measured, with its goal."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from pushed import Repository

from benchmarks.case import Case, Commands
from benchmarks.stage import FAR, Stage

_KILOBYTES_100 = 100_000
_TAGS = "2.1.106 2.1 2 latest"
_MINORS = 20
_PATCHES = 250
_MANY = "gallery/many"
_FLEET = 100


def script(place: str, image: str, tags: str = _TAGS) -> str:
    """The shell script that tagger replaces."""
    push = f"docker tag {image} {place}:$tag; docker push --quiet {place}:$tag"
    return f"set -e; for tag in {tags}; do {push}; done"


def _tagger(host: str, repository: str, options: str, image: str) -> str:
    return f"tagger release {image} 2.1.106 --registry {host} --repository {repository} {options}".strip()


def release(
    stage: Stage, *, far: int, options: str = "", again: bool = False, crane: bool = False, layers: int = 10
) -> Commands:
    """Release an image whose layers a registry so far away has, in ms; `again` when it has the release too."""
    repository = f"gallery/{'again' if again else 'ui'}-{far}-{layers}"
    place = f"{stage.host(far)}/{repository}"
    old, new = f"app:old-{layers}", f"app:new-{layers}"

    def publish() -> None:
        for name in (old, new):
            stage.image(name, layers=layers, size=_KILOBYTES_100)
        first = "2.1.106" if again else "2.1.105"
        tags = (first, "2.1", "2", "latest")
        stage.push(new if again else old, far, *(f"{repository}:{tag}" for tag in tags))
        stage.push(new, far, f"{repository}:build-7")
        stage.shelf.remember(repository)

    stage.once(repository, publish)
    peer = script(place, new)
    if crane:
        push = f"docker tag {new} {place}:2.1.106; docker push --quiet {place}:2.1.106"
        peer = f"set -e; {push}; for tag in 2.1 2 latest; do crane tag {place}:2.1.106 $tag & done; wait"
    return Commands(_tagger(stage.host(far), repository, options, new), peer, f"restore {repository}")


def _large(stage: Stage) -> Commands:
    repository = "gallery/large"
    make = "head -c 1G /dev/urandom >big; tar -c big | docker import - app:large; rm big"
    stage.once("app:large", lambda: _run(stage, make))
    host = stage.host(0)
    peer = script(f"{host}/{repository}", "app:large")
    return Commands(_tagger(host, repository, "", "app:large"), peer, f"empty {repository}")


def _run(stage: Stage, text: str) -> None:
    stage.shell(text)


# Without --preserve-digests, skopeo compresses layers, and copies fewer bytes.
_SKOPEO = "skopeo copy --all --preserve-digests --quiet --src-tls-verify=false --dest-tls-verify=false"
_COPIES = {
    "crane": "set -e; crane cp {source} {target}:2.1.106;"
    " for tag in 2.1 2 latest; do crane tag {target}:2.1.106 $tag & done; wait",
    "skopeo": f"set -e; {_SKOPEO} docker://{{source}} docker://{{target}}:2.1.106;"
    f" for tag in 2.1 2 latest; do {_SKOPEO} docker://{{target}}:2.1.106"
    " docker://{target}:$tag & done; wait",
}


def _built(repository: Repository, layers: int, size: int) -> None:
    repository.image("build-7", repository.path, layers=layers, size=size)


def _promotion(stage: Stage, *, peer: str, far: int, layers: int, size: int) -> Commands:
    """Promote an image from one registry to another, each so far away, in ms, that has nothing of it."""
    built = Repository(stage.second, f"built/{layers}")
    stage.once(built.path, lambda: _built(built, layers, size))
    repository = f"copied/{layers}-{far}"
    source, target = f"{stage.host(far, stage.second)}/{built.path}:build-7", f"{stage.host(far)}/{repository}"
    copy = _COPIES[peer].format(source=source, target=target)
    return Commands(f"tagger promote {source} 2.1.106 --to {target}", copy, f"empty {repository}")


def _promotions() -> Iterator[Case]:
    for peer, (layers, size), far in product(_COPIES, ((10, 30_000_000), (60, 200_000)), (0, FAR)):
        name = f"promote {layers} layers against {peer}, {f'{far} ms' if far else 'loopback'}"
        make = partial(_promotion, peer=peer, far=far, layers=layers, size=size)
        yield Case(name, 1.0, make, (peer,), memory=60, cold=False)


def _start(stage: Stage, words: str) -> Commands:
    del stage
    return Commands(f"tagger {words}", 'python -c "import typer, semver"')


def _many(stage: Stage) -> None:
    """Fill a repository with 5,000 version tags in 20 minor lines, and every floating tag where it belongs."""
    tags = {f"1.{n // _PATCHES}.{n % _PATCHES}": n for n in range(_MINORS * _PATCHES)}
    newest = {f"1.{minor}": (minor + 1) * _PATCHES - 1 for minor in range(_MINORS)}
    last = _MINORS * _PATCHES - 1
    stage.shelf.fill(_MANY, tags | newest | {"1": last, "latest": last})


def _check(stage: Stage) -> Commands:
    stage.once(_MANY, lambda: _many(stage))
    place = f"{stage.host(FAR)}/{_MANY}"
    compared = f"1 latest $(seq -f '1.%g' 0 {_MINORS - 1}) $(seq -f '1.%g.{_PATCHES - 1}' 0 {_MINORS - 1})"
    peer = f"set -e; crane ls {place} >/dev/null; for tag in {compared}; do crane digest {place}:$tag; done"
    return Commands(f"tagger check {place}", peer)


def _ls(stage: Stage) -> Commands:
    stage.once(_MANY, lambda: _many(stage))
    place = f"{stage.host(0)}/{_MANY}"
    peer = f"set -e; for tag in $(crane ls {place}); do crane digest {place}:$tag; done"
    return Commands(f"tagger ls --limit 0 {place}", peer)


def _check_fleet(stage: Stage) -> Commands:
    """Check a hundred repositories of five tags, one after the other in the shell that tagger replaces."""
    names = [f"fleet/{number:03}" for number in range(_FLEET)]
    tags = {"2.1.105": 0, "2.1.106": 1, "2.1": 1, "2": 1, "latest": 1}

    def fill() -> None:
        for name in names:
            stage.shelf.fill(name, tags)
        (stage.folder / "fleet.txt").write_text("".join(f"{stage.host(0)}/{name}\n" for name in names))

    stage.once("fleet", fill)
    each = "crane ls $place >/dev/null; for tag in 2.1.106 2.1 2 latest; do crane digest $place:$tag; done"
    return Commands("tagger check --from fleet.txt", f"set -e; for place in $(cat fleet.txt); do {each}; done")


def _plan(stage: Stage) -> Commands:
    del stage
    return Commands("python -m benchmarks.planning plan 100000", "python -m benchmarks.planning sort 100000")


_DOCKER = ("docker",)
_CRANE = ("docker", "crane")
VIA_REGISTRY = "--floats-via registry"
_FAR_VIA_REGISTRY = partial(release, far=FAR, options=VIA_REGISTRY)

CASES = (
    Case("release of 4 tags, 40 ms", 0.70, partial(release, far=FAR), _DOCKER),
    Case("release via registry, 40 ms", 0.45, _FAR_VIA_REGISTRY, _DOCKER),
    Case("release via registry against crane, 40 ms", 1.15, partial(_FAR_VIA_REGISTRY, crane=True), _CRANE),
    Case("release of 4 tags, loopback", 1.25, partial(release, far=0), _DOCKER),
    Case("release via registry, loopback", 1.1, partial(release, far=0, options=VIA_REGISTRY), _DOCKER),
    Case("unchanged re-release, 40 ms", 0.25, partial(release, far=FAR, again=True), _DOCKER),
    Case("dry run, 40 ms", 0.20, partial(release, far=FAR, options="--dry-run"), _DOCKER),
    Case("1 GiB image that nobody has, loopback", 1.05, _large, _DOCKER, memory=80, cold=False),
    *_promotions(),
    Case("tagger tags 2.1.106", 1.25, partial(_start, words="tags 2.1.106")),
    Case("tagger --version", 1.25, partial(_start, words="--version")),
    Case("tagger --help", 1.25, partial(_start, words="--help")),
    Case("check of 5,000 version tags, 40 ms", 0.10, _check, ("crane",)),
    Case("ls of 5,000 tags with all digests, loopback", 0.10, _ls, ("crane",), peer_runs=1, cold=False),
    Case("check of 100 repositories, loopback", 0.30, _check_fleet, ("crane",), peer_runs=3, cold=False),
    Case("plan against 100,000 tags", 2.0, _plan, memory=150, cold=False),
)
