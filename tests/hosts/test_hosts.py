"""Every command does its work on the registries that people use, or says what the registry does not offer.

These are imitations (see `hosts`) before a real registry, with an Engine of this process that pushes to them by HTTP.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature

import pytest
from command import DOCS, HasUrl, Ran
from doubles import OCI_INDEX, OCI_MANIFEST, digest_of, manifest
from launcher import launched
from services import Registry

from hosts import REFUSED, Imitation
from hosts.acr import Acr
from hosts.artifact_registry import ArtifactRegistry
from hosts.artifactory import Artifactory
from hosts.docker_hub import DockerHub
from hosts.ecr import Ecr
from hosts.ghcr import Ghcr
from hosts.ghes import DeniesEveryHead, Ghes
from hosts.gitlab import GitLab
from hosts.harbor import Harbor
from hosts.nexus import Nexus
from hosts.pushing import PushingEngine
from hosts.quay import Quay
from hosts.table import trials, tried
from tagger.oci.placeholder import placeholders

pytestmark = pytest.mark.engine

EVERY: tuple[type[Imitation], ...] = (
    Imitation, DockerHub, Ghcr, Ecr, ArtifactRegistry, Acr, GitLab, Quay, Harbor, Nexus, Artifactory, Ghes,
    DeniesEveryHead,
)  # fmt: skip
HOSTS = {host.name: host for host in EVERY}
# `make test` tries those that differ most, `make test-long` the others.
OFTEN = {Ecr.name, Quay.name, Harbor.name, Artifactory.name, DeniesEveryHead.name}
TRIED = [name if name in OFTEN else pytest.param(name, marks=pytest.mark.long) for name in HOSTS]
OLD, FORMER, NEW = b"the old one", b"the former one", b"the new one"
BUILD = manifest(b"a build", config=digest_of(b"{}"))
_EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2}
SIGNATURE = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example.signature",
        "config": _EMPTY,
        "layers": [_EMPTY],
        "subject": {"mediaType": json.loads(BUILD)["mediaType"], "digest": digest_of(BUILD), "size": len(BUILD)},
    }
).encode()


def fresh() -> str:
    """An unused repository path."""
    return f"team/app-{secrets.token_hex(4)}"


@dataclass
class Shop:
    """A repository with 2.0.6 and 2.1.105, and an Engine that has the image `build`."""

    registry: Imitation
    engine: HasUrl
    path: str = field(default_factory=fresh)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the repository."""
        return f"{self.registry.host}/{self.path}"

    @property
    def tags(self) -> dict[str, str]:
        """Return where every tag points."""
        return self.registry.tags(self.path)

    def seed(self, contents: Mapping[str, bytes]) -> None:
        """Publish an image for each tag."""
        self.registry.seed(self.path, contents)

    def run(self, *words: str) -> Ran:
        """Run a command that needs no Engine."""
        return launched(None, *words)

    def release(self, version: str, *options: str) -> Ran:
        """Release the image `build`."""
        place = ("--registry", self.registry.host, "--repository", self.path)
        return launched(self.engine, "release", "build", version, *place, *options, **self.environment)

    def writes(self) -> list[str]:
        """Every request that may have changed something."""
        return [f"{r.method} {r.path}" for r in self.registry.requests if r.method not in ("GET", "HEAD")]


def filling(registry: Imitation) -> str:
    """The path of the repository that every filled shop begins as."""
    if not registry.exists("team/template"):
        registry.seed("team/template", dict.fromkeys(("2.0.6", "2.0"), OLD))
        registry.seed("team/template", dict.fromkeys(("2.1.105", "2.1", "2", "latest"), FORMER))
    return "team/template"


@contextmanager
def opened(registry: Imitation, *, filled: bool = True) -> Iterator[Shop]:
    """Open a shop in a registry."""
    with registry, PushingEngine() as engine:
        shop = Shop(registry, engine)
        if filled:
            registry.copy(filling(registry), shop.path)
        engine.load("build", NEW)
        engine.log_in(registry, shop.path)
        yield shop


@pytest.fixture(params=TRIED)
def shop(request: pytest.FixtureRequest, registry: Registry) -> Iterator[Shop]:
    """Open a shop in the registry of each host."""
    with opened(HOSTS[request.param](registry)) as made:
        yield made


@pytest.fixture
def other(registry: Registry) -> Iterator[Shop]:
    """Open a shop without tags in a registry that does nothing in its own way."""
    with opened(Imitation(registry), filled=False) as made:
        yield made


def digest(content: bytes) -> str:
    """The digest of the image with that content."""
    return digest_of(manifest(content))


def stored(shop: Shop) -> None:
    """Publish an image under the tag build-77, with everything that belongs to it."""
    shop.registry.put(shop.path, "build-77", BUILD, b"{}", b"a build")


def signed(shop: Shop) -> None:
    """Publish an image with a signature, listed by the registry or by a tag."""
    stored(shop)
    shop.registry.put(shop.path, digest_of(SIGNATURE), SIGNATURE)
    if not shop.registry.referrers:
        entry = {"mediaType": OCI_MANIFEST, "digest": digest_of(SIGNATURE), "size": len(SIGNATURE)}
        listing = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
        shop.registry.put(shop.path, digest_of(BUILD).replace(":", "-"), json.dumps(listing).encode())


def lists_the_signature(shop: Shop) -> bool:
    """Whether the signature is there, and whether the registry lists it or a tag does."""
    manifests = shop.registry.manifests(shop.path)
    held = shop.tags.get(digest_of(BUILD).replace(":", "-"), "")
    listed = shop.registry.referrers or digest_of(SIGNATURE).encode() in manifests.get(held, b"")
    return listed and digest_of(SIGNATURE) in manifests


def cascade(image: str, *tags: str) -> dict[str, str]:
    """Check that tags hold an image."""
    return dict.fromkeys(tags, image)


def unchanged(shop: Shop, run: Callable[[], Ran]) -> None:
    """Check that a command succeeds and writes nothing."""
    before = shop.tags
    shop.registry.requests.clear()
    ran = run()
    assert (ran.code, shop.writes(), shop.tags) == (0, [], before), ran.err


# -- releasing -----------------------------------------------------------------------------------------------------


@tried("again", "The same release again writes nothing.")
@tried("release", "A release moves the floating tags, via the Engine and via the registry.")
@pytest.mark.parametrize("via", ["engine", "registry"])
def test_a_release_moves_the_cascade_and_a_repeat_changes_nothing(shop: Shop, via: str) -> None:
    before = shop.tags
    ran = shop.release("2.1.106", "--floats-via", via)
    assert ran.code == 0, ran.err
    assert shop.tags == before | cascade(digest(NEW), "2.1.106", "2.1", "2", "latest")
    if via == "engine":
        unchanged(shop, lambda: shop.release("2.1.106"))


@tried("gates", "A gate sees the image before any tag moves, and tagger removes or names its candidate.")
@pytest.mark.parametrize("gate", ["true", "false"])
def test_an_image_waits_for_its_gate_and_its_candidate_is_removed_or_named(shop: Shop, gate: str) -> None:
    before = shop.tags
    ran = shop.release("2.1.106", "--gate", gate, "--json")
    candidates = {tag: held for tag, held in shop.tags.items() if "-candidate." in tag}
    assert all(tag in " ".join(ran.json["warnings"]) for tag in candidates)
    assert {*candidates.values()} <= {digest(NEW)}
    left = {tag: held for tag, held in shop.tags.items() if tag not in candidates}
    if gate == "true":
        assert (ran.code, left) == (0, before | cascade(digest(NEW), "2.1.106", "2.1", "2", "latest")), ran.err
    else:
        assert (ran.code, left, bool(candidates)) == (6, before, True), ran.err


@tried("backport", "A patch of an older series moves only the tags of that series.")
def test_a_backport_moves_its_own_line(shop: Shop) -> None:
    before = shop.tags
    ran = shop.release("2.0.7")
    assert ran.code == 0, ran.err
    assert shop.tags == before | cascade(digest(NEW), "2.0.7", "2.0")


@tried("other image", "tagger refuses another image under a published version.")
@pytest.mark.parametrize("options", [(), pytest.param(("--assume-newest",), marks=pytest.mark.long)])
def test_another_image_under_a_published_version_is_refused(shop: Shop, options: tuple[str, ...]) -> None:
    before = shop.tags
    ran = shop.release("2.1.105", *options)
    assert (ran.code, shop.writes(), shop.tags) == (REFUSED, [], before), ran.err
    assert digest(FORMER) in ran.error


@tried("dry run", "A dry run plans what the release does, and writes nothing.")
def test_a_dry_run_writes_nothing_and_shows_what_a_release_does(shop: Shop) -> None:
    before = shop.tags
    ran = shop.release("2.1.106", "--dry-run", "--json")
    assert (ran.code, shop.writes(), shop.tags) == (0, [], before), ran.err
    changes = {change["tag"]: change["action"] for change in ran.json["repositories"][0]["tags"]}
    assert changes == {"2.1.106": "create", "2.1": "move", "2": "move", "latest": "move"}


@tried("backport, dry run", "A dry run of such a patch plans to move only those tags.")
def test_the_dry_run_of_an_old_patch_moves_only_its_own_line(shop: Shop) -> None:
    ran = shop.release("2.0.7", "--dry-run", "--json")
    assert ran.code == 0, ran.err
    changes = {change["tag"]: change["action"] for change in ran.json["repositories"][0]["tags"]}
    assert changes == {"2.0.7": "create", "2.0": "move", "2": "keep", "latest": "keep"}


@tried("promote again", "A dry run of a promotion writes nothing, and neither does the same promotion again.")
def test_a_promotion_within_a_registry_moves_the_cascade_and_a_dry_run_or_a_repeat_changes_nothing(
    shop: Shop,
) -> None:
    stored(shop)
    words = ("promote", f"{shop.name}:build-77", "2.1.106")
    before = shop.tags
    unchanged(shop, lambda: shop.run(*words, "--dry-run"))
    ran = shop.run(*words)
    assert ran.code == 0, ran.err
    assert shop.tags == before | cascade(digest_of(BUILD), "2.1.106", "2.1", "2", "latest")
    unchanged(shop, lambda: shop.run(*words))


@tried("signatures", "Signatures and other referrers are copied to this registry and from it.")
@tried("promote from", "An image from this registry is released to another one.")
@tried("promote to", "An image from this registry or from another one is released here.")
@pytest.mark.parametrize("to_this", [True, False])
def test_a_promotion_between_registries_moves_the_cascade_and_copies_the_referrers(
    shop: Shop, other: Shop, to_this: bool
) -> None:
    source, target = (other, shop) if to_this else (shop, other)
    signed(source)
    before = target.tags
    ran = shop.run("promote", f"{source.name}:build-77", "2.1.106", "--to", target.name)
    assert ran.code == 0, ran.err
    assert "warning" not in ran.err
    moved = before | cascade(digest_of(BUILD), "2.1.106", "2.1", "2", "latest")
    assert {tag: held for tag, held in target.tags.items() if not tag.startswith("sha256-")} == moved
    assert lists_the_signature(target)


# -- looking -------------------------------------------------------------------------------------------------------


@tried("ls", "The list shows every version with its floating tags.")
def test_the_versions_are_listed_with_their_floating_tags(shop: Shop) -> None:
    ran = shop.run("ls", shop.name, "--json")
    assert ran.code == 0, ran.err
    listed = {row["version"]: (row["digest"], sorted(row["floating"])) for row in ran.json["versions"]}
    assert listed == {
        "2.1.105": (digest(FORMER), ["2", "2.1", "latest"]),
        "2.0.6": (digest(OLD), ["2.0"]),
    }


@tried("check", "A check finds nothing if all is well.")
def test_a_check_passes_when_every_tag_is_right(shop: Shop) -> None:
    ran = shop.run("check", shop.name)
    assert ran.code == 0, ran.err


@tried("repair", "A check finds a floating tag out of place, and a repair puts it back.")
def test_a_check_finds_drift_and_a_repair_fixes_it(shop: Shop) -> None:
    before = shop.tags
    shop.seed({"latest": OLD})
    ran = shop.run("check", shop.name)
    assert ran.code != 0
    assert "latest" in ran.out + ran.err
    ran = shop.run("repair", shop.name)
    assert (ran.code, shop.tags) == (0, before), ran.err


# -- taking away ---------------------------------------------------------------------------------------------------


def removed(shop: Shop, command: str, run: Callable[[], Ran], expected: dict[str, str]) -> None:
    """Check that tags were removed as they should be, or that the command refused and wrote nothing."""
    before = shop.tags
    ran = run()
    if said := shop.registry.refuses.get(command):
        assert (ran.code, shop.tags) == (REFUSED, before), ran.err
        assert re.search(said, ran.error), ran.error
    else:
        assert (ran.code, shop.tags) == (0, expected), ran.err


@tried("rm", "A version goes together with its image's signature, and its floating tags go back.", needs="rm")
def test_a_removal_takes_a_version_and_its_signature_or_nothing(shop: Shop) -> None:
    shop.seed({f"{digest(FORMER).replace(':', '-')}.sig": b"a signature"})
    left = cascade(digest(OLD), "2.0.6", "2.0", "2", "latest")
    removed(shop, "rm", lambda: shop.run("rm", shop.name, "2.1.105", "--yes"), left)


@tried("prune", "Old versions go, and no floating tag moves.", needs="prune")
def test_a_prune_removes_every_old_version_or_nothing(shop: Shop) -> None:
    before = shop.tags
    shop.seed({"2.1.104": b"older", "2.0.5": b"oldest"})
    removed(shop, "prune", lambda: shop.run("prune", shop.name, "--keep", "1", "--yes"), before)


@tried("yank", "A yanked version no longer counts, and its tag goes.", needs="rm", without="mark")
def test_a_yanked_version_does_not_count_whether_or_not_its_tag_is_removed(shop: Shop) -> None:
    ran = shop.run("yank", shop.name, "2.1.105")
    assert ran.code == 0, ran.err
    tags = shop.tags
    assert tags["2.1.105-yanked"] == digest(FORMER)
    assert {tags["2"], tags["latest"]} == {digest(OLD)}
    assert ("2.1.105" in tags) is ("rm" in shop.registry.refuses)
    assert "removed" not in ran.out or "2.1.105" not in tags


@tried("undo", "A yank is undone; a mark that cannot be deleted has no effect.", needs="rm", without="yes")
def test_undoing_a_yank_restores_every_tag(shop: Shop) -> None:
    before = shop.tags
    assert shop.run("yank", shop.name, "2.1.105").code == 0
    ran = shop.run("yank", shop.name, "2.1.105", "--undo", "--json")
    assert ran.code == 0, ran.err
    tags = shop.tags
    left = tags.pop("2.1.105-yanked", None)
    assert (tags, bool(left)) == (before, "rm" in shop.registry.refuses)
    assert ran.json["kept"] == (["2.1.105-yanked"] if left else [])
    assert left in {None, *(each.digest for each in placeholders("2.1.105-yanked"))}


@tried("rm, dry run", "A dry run of `rm` and `prune` says what would go, or that nothing can.", needs="rm", dry=True)
@pytest.mark.parametrize("command", ["rm", pytest.param("prune", marks=pytest.mark.long)])
def test_a_dry_run_says_what_would_be_removed_or_that_nothing_can_be(shop: Shop, command: str) -> None:
    shop.seed({"2.1.104": b"older"})
    before = shop.tags
    what = ("2.1.104",) if command == "rm" else ("--keep", "1")
    ran = shop.run(command, shop.name, *what, "--dry-run")
    known = command in shop.registry.refuses and not shop.registry.denies_late
    assert (ran.code, shop.tags) == (REFUSED if known else 0, before), ran.err
    assert not [line for line in shop.writes() if line.startswith("PUT")]
    assert known or "2.1.104" in ran.out


@tried("yank, dry run", "A dry run of `yank` writes nothing.")
def test_a_dry_run_of_a_yank_writes_nothing(shop: Shop) -> None:
    before = shop.tags
    ran = shop.run("yank", shop.name, "2.1.105", "--dry-run")
    assert (ran.code, shop.tags) == (0, before), ran.err
    assert not [line for line in shop.writes() if line.startswith("PUT")]


# -- the page ------------------------------------------------------------------------------------------------------


def test_every_test_of_every_host_is_on_the_page() -> None:
    of_every_host = {
        name for name, test in globals().items() if name.startswith("test_") and "shop" in signature(test).parameters
    }
    assert {trial.test.__name__ for trial in trials} == of_every_host


# -- what one host does --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page_size", [1, pytest.param(4, marks=pytest.mark.long)])
def test_ecr_uses_its_own_cursor_to_page_its_lists(registry: Registry, page_size: int) -> None:
    with opened(Ecr(registry, page_size)) as shop:
        ran = shop.release("2.0.7", "--dry-run", "--json")
        assert ran.code == 0, ran.err
        changes = {change["tag"]: change["action"] for change in ran.json["repositories"][0]["tags"]}
        assert changes == {"2.0.7": "create", "2.0": "move", "2": "keep", "latest": "keep"}


@pytest.mark.parametrize(
    ("made", "said"),
    [(Ecr, "name '{}' does not exist in the registry"), (ArtifactRegistry, 'Repository "{}" not found')],
)
def test_every_repository_must_exist_before_anything_is_pushed(
    registry: Registry, elsewhere: Registry, made: type[Imitation], said: str
) -> None:
    with opened(made(registry), filled=False) as shop, Imitation(elsewhere) as other:
        other.seed(shop.path, {"2.1.105": FORMER})
        ran = shop.release("2.1.106", "--registry", other.host)
        assert ran.code == REFUSED, ran.err
        assert said.format(shop.path) in ran.error
        assert "create the repository first" in ran.error
        assert set(other.tags(shop.path)) == {"2.1.105"}


def test_immutable_version_tags_do_not_hinder_a_release(registry: Registry) -> None:
    host = Ecr(registry)
    host.immutable = r"\d+\.\d+\.\d+"
    with opened(host) as shop:
        assert shop.release("2.1.106").code == 0
        assert shop.release("2.1.106").code == 0
        ran = shop.release("2.1.105", "--force", "--floats-via", "registry")
        assert ran.code != 0
        assert "is immutable" in ran.error


def test_immutable_rebuilds_do_not_hinder_the_next_rebuild(registry: Registry) -> None:
    host = Ecr(registry)
    [_, host.immutable] = re.findall(r"^```text\n\^(v.*)\n```$", (DOCS / "registries.md").read_text(), re.MULTILINE)
    with opened(host) as shop:
        shop.environment = {"TAGGER_REVISIONS": "-r{n}"}
        before = shop.tags
        ran = shop.release("2.1.105", "--revision")
        assert ran.code == 0, ran.err
        assert shop.tags == before | cascade(digest(NEW), "2.1.105-r1", "2.1.105", "2.1", "2", "latest") | {
            "2.1.105-r0": digest(FORMER)
        }
        assert isinstance(shop.engine, PushingEngine)
        shop.engine.load("build", OLD)
        assert shop.release("2.1.105", "--revision").code == 0
        assert shop.tags["2.1.105"] == shop.tags["2.1.105-r2"] == digest(OLD)


def test_immutable_floating_tags_are_named_with_advice(registry: Registry) -> None:
    host = Ecr(registry)
    host.immutable = r"latest|\d+(\.\d+)?"
    with opened(host) as shop:
        before = shop.tags
        ran = shop.release("2.1.106", "--floats-via", "registry")
        assert ran.code != 0
        assert "exclude the floating tags from the immutability rule or set floats = []" in ran.error
        assert shop.tags == before | {"2.1.106": digest(NEW)}


# How hosts refuse to write a tag again, or at all: the imitation, and which of its words must appear.


def hub(registry: Registry) -> Imitation:
    host = DockerHub(registry)
    host.immutable = r"latest|\d+(\.\d+)?"
    return host


def harbor(registry: Registry) -> Imitation:
    host = Harbor(registry)
    host.immutable = r"latest|\d+(\.\d+)?"
    return host


def nexus(registry: Registry) -> Imitation:
    host = Nexus(registry)
    host.written_once = r"latest|\d+(\.\d+)?"
    return host


def acr(registry: Registry) -> Imitation:
    host = Acr(registry)
    host.locked = {"latest", "2", "2.1"}
    return host


def gitlab(registry: Registry) -> Imitation:
    host = GitLab(registry)
    host.protected = {"latest", "2", "2.1"}
    return host


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (hub, "cannot be updated due to immutability settings"),
        (harbor, "configured as immutable"),
        (nexus, "Repository does not allow updating assets"),
        (acr, "REGISTRY_DISALLOWED_OPERATION"),
        (gitlab, "tag is protected"),
    ],
)
def test_floating_tags_that_cannot_move_are_named_with_the_registry_s_reason_and_advice(
    registry: Registry, made: Callable[[Registry], Imitation], said: str
) -> None:
    with opened(made(registry)) as shop:
        before = shop.tags
        ran = shop.release("2.1.106", "--floats-via", "registry")
        assert ran.code == 1, ran.err
        assert said in ran.error
        assert "exclude the floating tags from the immutability rule or set floats = []" in ran.error
        assert "docker login" not in ran.error
        assert shop.tags == before | {"2.1.106": digest(NEW)}
        puts = [f"{r.path}" for r in shop.registry.requests if r.method == "PUT" and r.path.endswith("/latest")]
        assert len(puts) <= 2, "a refusal for good is not asked again and again"
        again = shop.release("2.1.106", "--floats-via", "registry")
        assert (again.code, again.error) == (1, ran.error), "nothing moved, so that nothing is out of place"


def test_a_full_quota_is_reported_in_the_registry_s_words(registry: Registry) -> None:
    host = Harbor(registry)
    host.full = True
    with opened(host) as shop:
        stored(shop)
        before = shop.tags
        ran = shop.run("promote", f"{shop.name}:build-77", "2.1.106")
        assert (ran.code, shop.tags) == (REFUSED, before), ran.err
        assert "exceed the configured upper limit of 10.0 MiB" in ran.error
        assert "ask for a larger quota" in ran.error


def test_the_reason_in_an_error_s_detail_is_shown(registry: Registry) -> None:
    host = Artifactory(registry)
    host.may_overwrite = False
    with opened(host) as shop:
        ran = shop.release("2.1.106", "--floats-via", "registry")
        assert ran.code != 0
        assert "HTTP 403 Forbidden" in ran.error


def test_another_repository_s_tags_never_count(registry: Registry) -> None:
    with opened(Artifactory(registry)) as shop:
        foreign = shop.path.partition("/")[2]
        shop.registry.seed(foreign, {"9.0.0": b"somebody else's"})
        before = shop.tags
        ran = shop.release("2.1.106")
        assert ran.code == 0, ran.err
        assert shop.tags == before | cascade(digest(NEW), "2.1.106", "2.1", "2", "latest")
        assert not [r for r in shop.registry.requests if r.path.startswith(f"/v2/{foreign}/")]


@pytest.mark.parametrize("via", ["engine", "registry"])
def test_a_release_can_replace_an_image_that_a_policy_blocks(registry: Registry, via: str) -> None:
    for host in (Harbor(registry), Artifactory(registry)):
        held_back = host.vulnerable if isinstance(host, Harbor) else host.blocked
        held_back.add(digest(FORMER))
        with opened(host) as shop:
            before = shop.tags
            ran = shop.release("2.1.106", "--floats-via", via)
            assert ran.code == 0, ran.err
            assert shop.tags == before | cascade(digest(NEW), "2.1.106", "2.1", "2", "latest")


def test_a_backport_keeps_the_floating_tags_of_an_image_that_a_policy_blocks(registry: Registry) -> None:
    host = Harbor(registry)
    host.vulnerable.add(digest(FORMER))
    with opened(host) as shop:
        before = shop.tags
        ran = shop.release("2.0.7", "--json")
        assert ran.code == 0, ran.err
        assert shop.tags == before | cascade(digest(NEW), "2.0.7", "2.0")
        changes = {change["tag"]: change["action"] for change in ran.json["repositories"][0]["tags"]}
        assert changes == {"2.0.7": "create", "2.0": "move", "2": "keep", "latest": "keep"}


def test_one_immutable_version_does_not_stop_the_pruning_of_others(registry: Registry) -> None:
    host = Harbor(registry)
    host.immutable = r"2\.0\.5"
    with opened(host) as shop:
        before = shop.tags
        shop.seed({"2.1.104": b"older", "2.0.5": b"oldest", "2.0.4": b"oldest of all"})
        ran = shop.run("prune", shop.name, "--keep", "1", "--yes")
        assert ran.code == 4, ran.err
        assert shop.tags == before | {"2.0.5": digest(b"oldest")}
        assert "does not let you delete 2.0.5" in ran.error
        assert "configured as immutable" in ran.error


def test_a_wait_in_go_s_notation_is_understood(registry: Registry) -> None:
    host = Ghcr(registry)
    host.busy = 2
    with opened(host) as shop:
        ran = shop.release("2.1.106")
        assert (ran.code, host.busy) == (0, 0), ran.err


# -- the right to read and to write --------------------------------------------------------------------------------


def test_a_private_repository_is_read_with_the_login_and_never_counts_as_absent(registry: Registry) -> None:
    with opened(Ghcr(registry)) as shop:
        ran = shop.run("ls", shop.name, "--json")
        assert [row["version"] for row in ran.json["versions"]] == ["2.1.105", "2.0.6"]
        stranger = launched(None, "ls", shop.name, DOCKER_CONFIG="/nowhere")
        assert stranger.code != 0


def test_a_dry_run_requests_no_token_that_creates_the_repository(registry: Registry) -> None:
    with opened(Quay(registry), filled=False) as shop:
        ran = shop.release("2.1.106", "--dry-run")
        assert ran.code == 0, ran.err
        assert not shop.registry.exists(shop.path)
        assert shop.release("2.1.106").code == 0
        assert shop.tags == cascade(digest(NEW), "2.1.106", "2.1", "2", "latest")


# -- what takes its time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("via", ["engine", "registry"])
def test_a_release_waits_for_a_pending_scan(registry: Registry, via: str) -> None:
    host = Harbor(registry)
    host.reads_before_scanned = 8
    with opened(host) as shop:
        before = shop.tags
        ran = shop.release("2.1.106", "--floats-via", via)
        assert ran.code == 0, ran.err
        assert shop.tags == before | cascade(digest(NEW), "2.1.106", "2.1", "2", "latest")
        assert "does not show 2.1.106 yet" in ran.err


def test_an_image_that_is_not_served_in_time_is_released_on_two_signs_with_a_warning(registry: Registry) -> None:
    host = Harbor(registry)
    host.reads_before_scanned = 10_000
    with opened(host) as shop:
        before = shop.tags
        ran = shop.release("2.1.106", "--timeout", "20", "--json")
        assert ran.code == 0, ran.err
        assert shop.tags == before | cascade(digest(NEW), "2.1.106", "2.1", "2", "latest")
        assert "did not serve the image, so tagger could not compare it" in ran.json["warnings"][0]
        changes = ran.json["repositories"][0]["tags"]
        assert {change["after"] for change in changes} == {digest(NEW)}


def test_a_head_is_the_second_sign_when_the_pull_limit_is_used_up(registry: Registry) -> None:
    host = DockerHub(registry)
    host.pulls_left = 0
    with opened(host) as shop:
        before = shop.tags
        ran = shop.release("2.1.106", "--json")
        assert ran.code == 0, ran.err
        assert shop.tags == before | cascade(digest(NEW), "2.1.106", "2.1", "2", "latest")
        assert "did not serve the image, so tagger could not compare it" in ran.json["warnings"][0]
