"""Images that different jobs built are promoted as one release, each from its own source, or nothing moves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import DOCS, start, tagger, wait
from doubles import Proxy, Request, Response, on, refusal
from pushed import Layout, Pushed, Repository
from services import Registry

import tagger as api

FLOATS = ("2.1", "2", "latest")
CASCADE = ("2.1.106", *FLOATS)
IMAGES = ("api", "web", "worker")

pytestmark = pytest.mark.engine


@dataclass(frozen=True, slots=True)
class Shop:
    """Three images that jobs have built in one registry, and where they are released in another."""

    folder: Path
    revision: str
    built: Mapping[str, Pushed]
    old: Mapping[str, Pushed]
    sources: Mapping[str, Repository]
    targets: Mapping[str, Repository]

    def settings(self, host: str | None = None, source: str = ":{revision}") -> None:
        """Write the settings, with another host for the targets if one is given."""
        tables = [
            f'[images.{name}]\nrepository = "{self.targets[name].path}"\nsource = "{self.sources[name]}{source}"\n'
            for name in IMAGES
        ]
        host = host or self.targets["api"].registry.host
        (self.folder / "tagger.toml").write_text("\n".join([f'registries = ["{host}"]\n', *tables]))

    def held(self) -> dict[str, dict[str, str]]:
        """Return where the tags of each image point."""
        return {name: target.registry.snapshot(target.path) for name, target in self.targets.items()}

    def released(self) -> dict[str, dict[str, str]]:
        """Return where they point once the version is released."""
        return {
            name: {"2.1.105": self.old[name].digest, **dict.fromkeys(CASCADE, self.built[name].digest)}
            for name in IMAGES
        }

    def before(self) -> dict[str, dict[str, str]]:
        """Return where they pointed before that."""
        return {name: dict.fromkeys(("2.1.105", *FLOATS), self.old[name].digest) for name in IMAGES}


def git(folder: Path, *words: str) -> str:
    """Run git, and return what it says."""
    own = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example"]
    return subprocess.run([*own, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def shop(
    registry: Registry, elsewhere: Registry, repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shop:
    """Three built images, each with an older version that is released."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one")
    monkeypatch.chdir(tmp_path)
    revision = git(tmp_path, "rev-parse", "HEAD")
    sources = {name: Repository(registry, f"{repository}/ci/{name}") for name in IMAGES}
    targets = {name: Repository(elsewhere, f"{repository}/{name}") for name in IMAGES}
    old = {name: targets[name].image("2.1.105", f"old {name}") for name in IMAGES}
    for name in IMAGES:
        api.repair(str(targets[name]))
    built = {name: sources[name].image(revision, f"new {name}") for name in IMAGES}
    made = Shop(tmp_path, revision, built, old, sources, targets)
    made.settings()
    return made


def test_every_image_comes_from_its_source_as_one_release(shop: Shop) -> None:
    ran = tagger(None, "promote", "--all", "2.1.106", "--json")
    assert ran.code == 0, ran.err
    assert shop.held() == shop.released()
    assert [part["image"] for part in ran.json["repositories"]] == [
        f"{shop.sources[name]}:{shop.revision}" for name in IMAGES
    ]
    assert all(shop.targets[name].holds_all_of(shop.built[name]) for name in IMAGES)
    again = tagger(None, "promote", "--all", "2.1.106", "--json")
    assert (again.code, again.json["outcome"]) == (0, "unchanged"), again.err


def test_a_dry_run_shows_every_image_and_writes_nothing(shop: Shop) -> None:
    ran = tagger(None, "promote", "--all", "2.1.106", "--dry-run", "--json")
    assert (ran.code, ran.json["outcome"], len(ran.json["repositories"])) == (0, "planned", 3), ran.err
    assert shop.held() == shop.before()


@pytest.mark.parametrize(
    ("source", "words"),
    [("", ["--source-tag", "build-77"]), (":build-77", []), (":v{version}", []), ("", ["--source-tag", "v{version}"])],
)
def test_a_source_has_a_tag_or_gets_one_from_the_command(shop: Shop, source: str, words: list[str]) -> None:
    for name in IMAGES:
        for tag in ("build-77", "v2.1.106"):
            status = shop.sources[name].registry.put(
                shop.sources[name].path, tag, shop.built[name].body, shop.built[name].media_type
            )
            assert status == 201
    shop.settings(source=source)
    ran = tagger(None, "promote", "--all", "2.1.106", *words)
    assert ran.code == 0, ran.err
    assert shop.held() == shop.released()


def test_the_commit_can_be_named_for_one_image_too(shop: Shop) -> None:
    target = shop.targets["api"]
    ran = tagger(None, "promote", f"{shop.sources['api']}:{{revision}}", "2.1.106", "--to", str(target))
    assert ran.code == 0, ran.err
    assert shop.held()["api"] == shop.released()["api"]


def test_images_of_layouts_and_charts_take_part(shop: Shop) -> None:
    (shop.folder / "dist").mkdir()
    built = Layout(shop.folder / "dist").image("", "new api")
    chart = shop.sources["web"].chart("2.1.106-rc.1", "web", "2.1.106")
    text = (shop.folder / "tagger.toml").read_text()
    text = text.replace(f"{shop.sources['api']}:{{revision}}", "oci:dist")
    text = text.replace(f"{shop.sources['web']}:{{revision}}", f"{shop.sources['web']}:{{version}}-rc.1")
    (shop.folder / "tagger.toml").write_text(text)
    ran = tagger(None, "promote", "--all", "2.1.106")
    assert ran.code == 0, ran.err
    held = shop.held()
    assert [held[name]["latest"] for name in IMAGES] == [built.digest, chart.digest, shop.built["worker"].digest]


def test_variants_of_one_repository_have_their_own_sources(shop: Shop) -> None:
    target, slim = shop.targets["api"], shop.sources["api"].image("slim", "slim")
    (shop.folder / "tagger.toml").write_text(
        f'registries = ["{target.registry.host}"]\n'
        f'[images.api]\nrepository = "{target.path}"\nsource = "{shop.sources["api"]}:{{revision}}"\n'
        f'[images."api:slim"]\nrepository = "{target.path}"\nsource = "{shop.sources["api"]}:slim"\n'
        'variants = ["slim"]\n'
    )
    ran = tagger(None, "promote", "--all", "2.1.106")
    assert ran.code == 0, ran.err
    held = shop.held()["api"]
    assert {held[tag] for tag in CASCADE} == {shop.built["api"].digest}
    assert {held[tag] for tag in ("2.1.106-slim", "2.1-slim", "2-slim", "slim")} == {slim.digest}


def test_one_image_may_come_from_two_sources_to_two_repositories(shop: Shop) -> None:
    same = shop.sources["web"].image("same", "new api")
    assert same.digest == shop.built["api"].digest
    wanted = [
        api.Promotion(f"{shop.sources['api']}:{{revision}}", [str(shop.targets["api"])]),
        api.Promotion(f"{shop.sources['web']}:same", [str(shop.targets["web"])]),
    ]
    assert api.promote_all(wanted, "2.1.106").outcome == "released"
    held = shop.held()
    assert held["api"]["latest"] == held["web"]["latest"] == same.digest


# -- nothing moved, or everything ------------------------------------------------------------------------------------


def test_every_image_is_copied_before_a_version_tag_and_every_version_before_a_floating_tag(shop: Shop) -> None:
    moments: list[tuple[str, dict[str, dict[str, str]]]] = []
    with Proxy(shop.targets["api"].registry.host) as proxy:

        def look(request: Request) -> Response | None:
            tag = request.path.rpartition("/")[2]
            if request.method != "PUT" or tag not in CASCADE:
                return None
            with proxy.lock:  # a real registry cannot read a tag while it writes it
                whole = all(shop.targets[name].holds_all_of(shop.built[name]) for name in IMAGES)
                assert whole, f"{tag} is written before everything is copied"
                moments.append((tag, shop.held()))  # as a second client sees them
                return proxy.answer(request)

        proxy.intercept(look)
        shop.settings(proxy.host)
        ran = tagger(None, "promote", "--all", "2.1.106")
    assert ran.code == 0, ran.err
    tags = [tag for tag, _ in moments]
    assert tags[:3] == ["2.1.106"] * 3
    assert sorted(tags[3:]) == sorted(FLOATS * 3)
    for tag, held in moments:
        assert tag == "2.1.106" or all("2.1.106" in held[name] for name in IMAGES)
    assert shop.held() == shop.released()


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("failing", IMAGES)
@pytest.mark.parametrize(
    ("method", "path", "left"),
    [
        ("POST", "/blobs/uploads/", "nothing"),
        ("PUT", "/manifests/sha256:", "nothing"),
        ("PUT", r"/manifests/2\.1\.106$", "versions"),
        ("PUT", r"/manifests/2\.1$", "versions"),
        ("PUT", "/manifests/latest$", "versions"),
    ],
    ids=["a blob", "a manifest", "the version", "2.1", "latest"],
)
def test_one_image_that_fails_at_any_step_leaves_no_floating_tag_moved(
    shop: Shop, failing: str, method: str, path: str, left: str
) -> None:
    with Proxy(shop.targets["api"].registry.host) as proxy:
        proxy.intercept(on(method, f"/{failing}{path}", refusal(403, "DENIED", "no")))
        shop.settings(proxy.host)
        ran = tagger(None, "promote", "--all", "2.1.106", "--json")
    assert ran.code in (1, 3), ran.err
    now = shop.held()
    versions = {name: now[name].pop("2.1.106", None) for name in IMAGES}
    assert now == shop.before()
    assert all(held in (None, shop.built[name].digest) for name, held in versions.items())
    if left == "nothing":
        assert set(versions.values()) == {None}, "what is not copied whole has no version anywhere"
    shop.settings()
    assert tagger(None, "promote", "--all", "2.1.106").code == 0, "and the same command finishes the job"
    assert shop.held() == shop.released()


def test_a_source_that_is_missing_moves_nothing(shop: Shop) -> None:
    text = (shop.folder / "tagger.toml").read_text()
    (shop.folder / "tagger.toml").write_text(text.replace("ci/worker:{revision}", "ci/worker:nowhere"))
    ran = tagger(None, "promote", "--all", "2.1.106")
    assert (ran.code, "ci/worker:nowhere" in ran.error) == (2, True), ran.err
    assert shop.held() == shop.before()


def test_a_version_that_one_repository_has_with_another_image_is_refused_for_all(shop: Shop) -> None:
    shop.targets["web"].image("2.1.106", "other")
    before = shop.held()
    ran = tagger(None, "promote", "--all", "2.1.106")
    assert (ran.code, f"{shop.targets['web'].path} 2.1.106 is published" in ran.error) == (3, True), ran.err
    assert shop.held() == before


@pytest.mark.parametrize("nth", [1, 4, 8, 11])
def test_the_same_command_finishes_a_killed_promotion(shop: Shop, nth: int) -> None:
    with Proxy(shop.targets["api"].registry.host) as proxy:
        shop.settings(proxy.host)
        seen: list[str] = []

        def kill(request: Request) -> Response | None:
            if request.method == "PUT" and request.path.rpartition("/")[2] in CASCADE:
                seen.append(request.path)
                if len(seen) == nth:
                    process.kill()
            return None

        proxy.intercept(kill)
        process = start(None, "promote", "--all", "2.1.106")
        assert wait(process).code == -9
    shop.settings()
    ran = tagger(None, "promote", "--all", "2.1.106")
    assert ran.code == 0, ran.err
    assert shop.held() == shop.released()


def test_gates_judge_every_image_before_any_moves(shop: Shop) -> None:
    gate = "sh -c 'test $TAGGER_REPOSITORY != {}'"
    ran = tagger(None, "promote", "--all", "2.1.106", "--gate", gate.replace("{}", str(shop.targets["worker"])))
    assert ran.code == 6, ran.err
    now = {name: {tag: d for tag, d in held.items() if "candidate" not in tag} for name, held in shop.held().items()}
    assert now == shop.before()
    ran = tagger(None, "promote", "--all", "2.1.106", "--gate", "true")
    assert ran.code == 0, ran.err
    assert shop.held() == shop.released()


# -- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "source", "says"),
    [
        (["--all", "2.1.106"], "", "has no tag: add one, such as :{revision}, or give it with --source-tag"),
        (["--all", "2.1.106", "--source-tag", "b"], ":{revision}", "has a tag or a digest: leave out --source-tag"),
        (["--all", "2.1.106", "--source-tag", "a b"], "", "is not a tag"),
        (["--all", "2.1.106"], ":{commit}", "'{commit}' is not a tag"),
        (["--all", "2.1.106", "--to", "x.example/y"], ":{revision}", "or only --all VERSION"),
        (["x.example/y:z", "--all", "2.1.106"], ":{revision}", "or only --all VERSION"),
        (["x.example/y:z", "2.1.106", "--source-tag", "b"], ":{revision}", "--source-tag needs --all"),
        (["x.example/y:z"], ":{revision}", "give SOURCE and VERSION"),
        ([], ":{revision}", "give SOURCE and VERSION"),
    ],
)
def test_options_that_exclude_each_other_are_refused(shop: Shop, words: list[str], source: str, says: str) -> None:
    shop.settings(source=source)
    ran = tagger(None, "promote", *words)
    assert (ran.code, says in ran.error) == (2, True), ran.err
    assert shop.held() == shop.before()


def test_an_image_without_a_source_is_named(shop: Shop) -> None:
    path = shop.folder / "tagger.toml"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "ci/web" not in line))
    ran = tagger(None, "promote", "--all", "2.1.106")
    assert (ran.code, "images.web in the settings has no source" in ran.error) == (2, True), ran.err


def test_one_source_in_the_environment_is_not_released_as_every_image(shop: Shop) -> None:
    one = f"{shop.sources['api']}:{shop.revision}"
    ran = tagger(None, "promote", "--all", "2.1.106", TAGGER_SOURCE=one)
    assert (ran.code, "set the source of each image in its table" in ran.error) == (2, True), ran.err
    assert shop.held() == shop.before()
    host = shop.targets["api"].registry.host
    table = f'registries = ["{host}"]\n[images.api]\nrepository = "{shop.targets["api"].path}"\n'
    (shop.folder / "tagger.toml").write_text(table)
    assert tagger(None, "promote", "--all", "2.1.106", TAGGER_SOURCE=one).code == 0
    assert shop.held()["api"] == shop.released()["api"]


def test_a_commit_without_a_checkout_is_refused(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "tagger.toml").write_text((shop.folder / "tagger.toml").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(outside)
        ran = tagger(None, "promote", "--all", "2.1.106")
    assert (ran.code, "git does not know the commit" in ran.error) == (2, True), ran.err


def test_the_api_promotes_all_images_too(shop: Shop) -> None:
    wanted = [api.Promotion(f"{shop.sources[name]}:{{revision}}", [str(shop.targets[name])]) for name in IMAGES]
    assert api.promote_all(wanted, "2.1.106").outcome == "released"
    assert shop.held() == shop.released()
    shown = json.loads((DOCS / "tagger-toml.schema.json").read_text())
    assert "source" in shown["properties"]
