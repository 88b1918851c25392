"""Several variants, images and registries in one release: one plan, two phases, one report, one exit code."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import DOCS, Ran, tagger
from doubles import Proxy, Request, Response, on, refusal
from pushed import Repository
from services import Engine, Registry

import tagger as api

FLOATS = ("2.1", "2", "latest")
CASCADE = ("2.1.106", *FLOATS)
ALPINE = ("2.1.106-alpine", "2.1-alpine", "2-alpine", "alpine")

pytestmark = pytest.mark.engine


@pytest.fixture
def build(engine: Engine, repository: str) -> Callable[[str], str]:
    """A function that makes an image of some text and returns its name."""

    def made(text: str) -> str:
        name = f"several/{repository.rpartition('-')[2]}-{text}"
        engine.image(name, f"{repository} {text}")
        return name

    return made


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that writes tagger.toml into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> None:
        (tmp_path / "tagger.toml").write_text(text)

    return write


def names(held: dict[str, str]) -> set[str]:
    """The tags."""
    return set(held)


def writes(proxy: Proxy) -> list[str]:
    """The tags that were written, in order."""
    return [
        request.path.rpartition("/")[2]
        for request in proxy.requests
        if request.method == "PUT" and "/manifests/" in request.path
    ]


# -- variants ------------------------------------------------------------------------------------------------------


def test_an_image_is_released_as_several_variants_at_once(
    engine: Engine, registry: Registry, repository: str, build: Callable[[str], str]
) -> None:
    target = ["--registry", registry.host, "--repository", repository]
    ran = tagger(
        engine, "release", build("a"), "2.1.106", *target, "--variant", "default", "--variant", "alpine", "--json"
    )
    assert ran.code == 0, ran.err
    held = registry.snapshot(repository)
    assert (names(held), len({*held.values()})) == ({*CASCADE, *ALPINE}, 1)
    parts = ran.json["repositories"]
    assert [part.get("variant", "default") for part in parts] == ["default", "alpine"]
    assert [change["tag"] for change in parts[1]["tags"]] == list(ALPINE)


def test_variants_ignore_each_other(
    engine: Engine, registry: Registry, repository: str, build: Callable[[str], str]
) -> None:
    target = ["--registry", registry.host, "--repository", repository]
    both = ["--variant", "default", "--variant", "alpine"]
    assert tagger(engine, "release", build("new"), "3.0.0", *target, "--variant", "alpine").code == 0
    assert tagger(engine, "release", build("old"), "2.1.106", *target).code == 0
    held = registry.snapshot(repository)
    assert held["latest"] == held["2.1.106"] != held["alpine"] == held["3.0.0-alpine"]
    assert tagger(None, "check", f"{registry.host}/{repository}", *both).code == 0
    listed = tagger(None, "ls", f"{registry.host}/{repository}", "--json", *both).json
    assert [row["tag"] for row in listed["versions"]] == ["3.0.0-alpine", "2.1.106"]
    assert listed["other"] == []


def test_a_prefix_begins_every_version_tag(
    engine: Engine, registry: Registry, repository: str, build: Callable[[str], str]
) -> None:
    target = ["--registry", registry.host, "--repository", repository]
    assert tagger(engine, "release", build("a"), "v2.1.106", *target, "--prefix", "v").code == 0
    assert names(registry.snapshot(repository)) == {"v2.1.106", "v2.1", "v2", "latest"}


def test_the_commands_that_read_and_repair_cover_every_line(registry: Registry, repository: str) -> None:
    pushed = Repository(registry, repository)
    plain, alpine = pushed.image("2.1.106", "plain"), pushed.image("2.1.106-alpine", "alpine")
    target, both = str(pushed), ["--variant", "default", "--variant", "alpine"]
    checked = tagger(None, "check", target, *both, "--json")
    assert (checked.code, len(checked.json["drift"])) == (5, 6)
    assert tagger(None, "repair", target, *both).code == 0
    held = registry.snapshot(repository)
    assert {tag: held[tag] for tag in (*CASCADE, *ALPINE)} == {
        **dict.fromkeys(CASCADE, plain.digest),
        **dict.fromkeys(ALPINE, alpine.digest),
    }
    pushed.image("2.1.107-alpine", "newer")
    assert tagger(None, "next", target, *both, "--patch").out == "2.1.108\n"
    assert tagger(None, "next", target, "--patch", "--variant", "default").out == "2.1.107\n"
    removed = tagger(None, "rm", target, "2.1.106", "--variant", "alpine", "--yes", "--json")
    assert (removed.code, removed.json["removed"]) == (0, ["2.1.106-alpine"]), removed.err
    assert registry.digest(repository, "2.1.106") == plain.digest


def test_removing_from_two_lines_together_moves_the_floating_tags_of_both(registry: Registry, repository: str) -> None:
    pushed = Repository(registry, repository)
    before = pushed.image("2.1.105", "before")
    pushed.put("2.1.105-alpine", before.media_type, _content(before.body))
    gone = pushed.image("2.1.106", "gone")
    pushed.put("2.1.106-alpine", gone.media_type, _content(gone.body))
    target, schemes = str(pushed), api.lines(api.Scheme(), ["default", "alpine"])
    api.repair(target, schemes=schemes)
    done = api.remove(target, "2.1.106", "2.1.106-alpine", schemes=schemes)
    assert set(done.removed) == {"2.1.106", "2.1.106-alpine"}
    assert set(registry.snapshot(repository).values()) == {before.digest}
    assert api.check(target, schemes=schemes).ok


def _content(body: bytes) -> dict[str, object]:
    content: dict[str, object] = json.loads(body)
    return {name: value for name, value in content.items() if name not in ("schemaVersion", "mediaType")}


# -- registries ----------------------------------------------------------------------------------------------------


def test_the_version_tag_is_in_every_registry_before_any_floating_tag_moves(
    engine: Engine, registry: Registry, elsewhere: Registry, repository: str, build: Callable[[str], str]
) -> None:
    with Proxy(registry.host) as one, Proxy(elsewhere.host) as other:
        log: list[str] = []

        def note(request: Request) -> Response | None:
            if request.method == "PUT" and "/manifests/" in request.path:
                log.append(request.path.rpartition("/")[2])
            return None

        one.intercept(note)
        other.intercept(note)
        hosts = ["--registry", one.host, "--registry", other.host, "--repository", repository]
        ran = tagger(engine, "release", build("a"), "2.1.106", *hosts)
    assert ran.code == 0, ran.err
    assert log[:2] == ["2.1.106"] * 2
    assert sorted(log[2:]) == sorted(FLOATS * 2)


def test_a_version_tag_that_fails_in_one_registry_moves_no_floating_tag_in_any(
    engine: Engine, registry: Registry, elsewhere: Registry, repository: str, build: Callable[[str], str]
) -> None:
    with Proxy(elsewhere.host) as other:
        other.intercept(on("PUT", r"/manifests/2\.1\.106$", refusal(403, "DENIED", "not today")))
        hosts = ["--registry", registry.host, "--registry", other.host, "--repository", repository]
        ran = tagger(engine, "release", build("a"), "2.1.106", *hosts, "--json")
    assert (ran.code, "not today" in ran.error) == (1, True), ran.err
    assert (registry.tags(repository), elsewhere.tags(repository)) == (["2.1.106"], [])


def test_different_digests_are_reported(
    engine: Engine, registry: Registry, elsewhere: Registry, repository: str, build: Callable[[str], str]
) -> None:
    image = build("a")
    assert (
        tagger(engine, "release", image, "2.1.106", "--registry", registry.host, "--repository", repository).code == 0
    )
    _copy_recompressed(registry, elsewhere, repository, "2.1.106")
    hosts = ["--registry", registry.host, "--registry", elsewhere.host, "--repository", repository]
    ran = tagger(engine, "release", image, "2.1.106", *hosts, "--json")
    here, there = registry.digest(repository, "2.1.106"), elsewhere.digest(repository, "2.1.106")
    assert (ran.code, here == there) == (0, False), ran.err
    (warning,) = ran.json["warnings"]
    assert warning == (
        "the same image has different digests, because its layers were compressed again:"
        f" {here} in {registry.host}/{repository}, {there} in {elsewhere.host}/{repository}"
    )
    assert set(elsewhere.snapshot(repository).values()) == {there}


def _copy_recompressed(source: Registry, target: Registry, repository: str, tag: str) -> None:
    """Publish the same image with its layers compressed in another way."""
    manifest = json.loads(source.manifest(repository, tag))
    there = Repository(target, repository)
    layers = []
    for layer in manifest["layers"]:
        packed = source.request("GET", f"/v2/{repository}/blobs/{layer['digest']}")[2]
        layers.append(there.blob(gzip.compress(gzip.decompress(packed), 1, mtime=1), layer["mediaType"]))
    config = source.request("GET", f"/v2/{repository}/blobs/{manifest['config']['digest']}")[2]
    content = {"config": there.blob(config, manifest["config"]["mediaType"]), "layers": layers}
    there.put(tag, manifest["mediaType"], content)


# -- images --------------------------------------------------------------------------------------------------------


def configured(host: str, repository: str, ui: str, api_image: str) -> str:
    """Settings of two images."""
    return f"""
        registries = ["{host}"]
        [images."{ui}"]
        repository = "{repository}/ui"
        variants = ["default", "trixie"]
        [images."{api_image}"]
        repository = "{repository}/api"
    """


def release_all(engine: Engine, *options: str) -> Ran:
    """Release every image of the settings."""
    return tagger(engine, "release", "--all", "2.1.106", "--json", *options)


def test_all_images_of_the_settings_are_released_together(
    engine: Engine,
    registry: Registry,
    repository: str,
    build: Callable[[str], str],
    settings: Callable[[str], None],
) -> None:
    ui, api_image = build("ui"), build("api")
    with Proxy(registry.host) as proxy:
        settings(configured(proxy.host, repository, ui, api_image))
        planned = release_all(engine, "--dry-run")
        assert (planned.code, planned.json["outcome"], writes(proxy)) == (0, "planned", [])
        ran = release_all(engine)
        assert (ran.code, ran.json["image"]) == (0, f"{ui}, {api_image}"), ran.err
        assert sorted(writes(proxy)[:3]) == ["2.1.106", "2.1.106", "2.1.106-trixie"]
        again = release_all(engine)
        assert (again.code, again.json["outcome"]) == (0, "unchanged")
    assert names(registry.snapshot(f"{repository}/api")) == set(CASCADE)
    assert names(registry.snapshot(f"{repository}/ui")) == {
        *CASCADE, "2.1.106-trixie", "2.1-trixie", "2-trixie", "trixie",
    }  # fmt: skip
    assert [part["image"] for part in ran.json["repositories"]] == [ui, ui, api_image]


def test_one_refused_image_keeps_every_image_back(
    engine: Engine,
    registry: Registry,
    repository: str,
    build: Callable[[str], str],
    settings: Callable[[str], None],
) -> None:
    ui, api_image = build("ui"), build("api")
    settings(configured(registry.host, repository, ui, api_image))
    Repository(registry, f"{repository}/api").image("2.1.106", "somebody else's")
    ran = release_all(engine)
    assert (ran.code, f"{repository}/api" in ran.error) == (3, True), ran.err
    assert registry.tags(f"{repository}/ui") == []


@pytest.mark.usefixtures("hurried")
def test_one_failed_floating_tag_puts_the_tags_of_every_image_back(
    engine: Engine,
    registry: Registry,
    repository: str,
    build: Callable[[str], str],
    settings: Callable[[str], None],
) -> None:
    ui, api_image = build("ui"), build("api")
    with Proxy(registry.host) as proxy:
        settings(configured(proxy.host, repository, ui, api_image))
        proxy.intercept(on("PUT", r"/api/manifests/latest$", refusal(403, "DENIED", "immutable")))
        ran = release_all(engine)
    assert (ran.code, "where they were" in ran.error) == (1, True), ran.err
    assert registry.tags(f"{repository}/api") == ["2.1.106"]
    assert set(registry.snapshot(f"{repository}/ui")) == {"2.1.106", "2.1.106-trixie"}


def test_two_images_for_one_tag_are_refused_before_any_request(settings: Callable[[str], None]) -> None:
    settings('registries = ["127.0.0.1:9"]\nrepository = "app"\n[images.ui]\n[images.api]\n')
    ran = tagger(None, "release", "--all", "2.1.106", DOCKER_HOST="unix:///nowhere")
    assert (ran.code, "127.0.0.1:9/app:2.1.106 would be written twice" in ran.error) == (2, True), ran.err


@pytest.mark.parametrize(
    ("text", "words", "says"),
    [
        ("", ["--all", "2.1.106"], "there is no table [images.NAME]"),
        ("[images.ui]", ["ui", "--all", "2.1.106"], "only --all VERSION"),
        ("[images.ui]", ["ui"], "IMAGE and VERSION"),
        ("[images.ui]", ["--all", "2.1.106", "--repository", "x"], "--all and --repository cannot be combined"),
        ("[images.ui]\nfloats_via='engine'\n[images.api]\nfloats_via='registry'", ["--all", "1.0.0"], "--floats-via"),
        ("colour = 1", ["ui", "2.1.106"], "unknown key colour"),
        ("variants = ['rc']", ["ui", "2.1.106"], "looks like a pre-release"),
        ("floats = ['{major}{minor}']", ["ui", "2.1.106"], "is ambiguous"),
        ("aliases = { '2.1.0' = '2' }", ["ui", "2.1.106"], "spells 2.1.0, which is a version tag"),
    ],
)
def test_impossible_settings_give_one_sentence(
    settings: Callable[[str], None], text: str, words: list[str], says: str
) -> None:
    settings(text)
    ran = tagger(None, "release", *words, "--json", DOCKER_HOST="unix:///nowhere")
    assert (ran.code, says in ran.error, ran.json["outcome"]) == (2, True, "failed"), ran.err


# -- settings ------------------------------------------------------------------------------------------------------


def test_the_command_line_overrides_the_environment_and_that_overrides_the_file(
    settings: Callable[[str], None],
) -> None:
    settings('variants = ["alpine"]\nprefix = "v"\naliases = { lts = "2" }\n')
    assert tagger(None, "tags", "2.1.106").out.split() == [
        "v2.1.106-alpine", "v2.1-alpine", "v2-alpine", "alpine", "lts-alpine",
    ]  # fmt: skip
    assert tagger(None, "tags", "2.1.106", TAGGER_VARIANT="slim").out.split()[0] == "v2.1.106-slim"
    words = ["--variant", "default", "--prefix", ""]
    assert tagger(None, "tags", "2.1.106", *words, TAGGER_VARIANT="slim").out.split()[0] == "2.1.106"


def test_config_says_what_is_in_force_and_where_from(settings: Callable[[str], None], tmp_path: Path) -> None:
    settings('channels = ["rc"]\n[images.gallery]\nrepository = "gallery/ui"\n')
    ran = tagger(None, "config", "gallery", "--prefix", "v", TAGGER_FLOATS_VIA="registry")
    lines = {line.partition(" = ")[0]: line.partition("# ")[2] for line in ran.out.splitlines()}
    file = f"{tmp_path}/tagger.toml"
    assert {key: lines[key] for key in ("channels", "repository", "prefix", "floats_via", "floats")} == {
        "channels": file,
        "repository": f"{file} [images.gallery]",
        "prefix": "command line",
        "floats_via": "TAGGER_FLOATS_VIA",
        "floats": "default",
    }
    found = tagger(None, "config", "--json").json
    assert found["settings"]["channels"] == {"value": ["rc"], "source": file}


def test_a_check_of_the_settings_names_every_problem_and_exits_with_2(
    settings: Callable[[str], None], tmp_path: Path
) -> None:
    settings('registries = ["a.local"]\nprefixx = "v"\n[images.gallery]\nfloats = ["{minor}"]\n')
    ran = tagger(None, "config", "--check")
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 2), ran.err
    assert "did you mean prefix?" in ran.err.splitlines()[0]
    assert "template '{minor}'" in ran.err.splitlines()[1]
    as_json = tagger(None, "config", "--check", "--json")
    assert (as_json.code, as_json.json["ok"], as_json.json["images"]) == (2, False, ["gallery"])
    assert [f"tagger: error: {each}" for each in as_json.json["problems"]] == ran.err.splitlines()
    settings('registries = ["a.local"]\n[images.gallery]\n')
    ran = tagger(None, "config", "--check")
    assert (ran.code, ran.out) == (0, f"{tmp_path}/tagger.toml: no problem, 1 image\n")
    assert tagger(None, "config", "gallery", "--check").code == 2


def test_the_schema_that_config_prints_is_that_of_the_docs() -> None:
    assert tagger(None, "config", "--schema").out == (DOCS / "tagger-toml.schema.json").read_text()


@pytest.mark.usefixtures("hurried")
def test_the_settings_apply_to_a_release_and_to_commands_that_read_its_repository(
    engine: Engine,
    registry: Registry,
    repository: str,
    build: Callable[[str], str],
    settings: Callable[[str], None],
) -> None:
    image = build("a")
    settings(
        f'registries = ["{registry.host}"]\nrepository = "{repository}"\nvariants = ["default", "alpine"]\n'
        'channels = ["edge"]\naliases = { lts = "2" }\nfloats = ["{major}", "latest"]\nignore = ["9999.0.0"]\n'
    )
    Repository(registry, repository).image("9999.0.0", "planted")
    ran = tagger(engine, "release", image, "2.1.106")
    assert ran.code == 0, ran.err
    plain = {"2.1.106", "2", "latest", "lts", "edge"}
    assert names(registry.snapshot(repository)) == {
        "9999.0.0", *plain, "2.1.106-alpine", "2-alpine", "alpine", "lts-alpine", "edge-alpine",
    }  # fmt: skip
    assert tagger(None, "check", f"{registry.host}/{repository}").code == 0
    assert tagger(None, "next", f"{registry.host}/{repository}", "--minor").out == "2.2.0\n"


@pytest.mark.parametrize("name", ["gallery", "gallery/ui"])
def test_one_image_is_not_written_for_each_table_of_its_repository(
    registry: Registry, repository: str, settings: Callable[[str], None], name: str
) -> None:
    path = f"{repository}/{name}"
    shop = Repository(registry, path)
    shop.image("build-77", "plain")
    shop.image("2.1.106-alpine", "alpine")
    settings(
        f"repository = {path!r}\n[images.{path.replace('/', '-')}]\n"
        f"[images.{path!r}]\n[images.'{path}:alpine']\nvariants = ['alpine']\n"
    )
    before = registry.snapshot(path)
    elsewhere = ["--to", f"{registry.host}/{repository}/other", "--to", str(shop)]
    for words in (["promote", f"{shop}:build-77", "2.1.107"], ["promote", f"{shop}:build-77", "2.1.107", *elsewhere],
                  ["promote", f"{shop}:build-77", "2.1.107", "--platform-image", f"{shop}:build-78"]):  # fmt: skip
        ran = tagger(None, *words)
        assert ran.code == 2, ran.err
        assert f'[images."{path}:alpine"] go to the same repository' in ran.error
        assert "--variant" in ran.error
    assert registry.snapshot(path) == before
    ran = tagger(None, "promote", f"{shop}:build-77", "2.1.107", "--variant", "default")
    assert ran.code == 0, ran.err
    assert names(registry.snapshot(path)) == {*before, "2.1.107", "2.1", "2", "latest"}


def test_a_command_that_reads_a_repository_covers_the_variants_of_all_its_tables(
    registry: Registry, repository: str, settings: Callable[[str], None]
) -> None:
    shop = Repository(registry, repository)
    settings(f"[images.{repository!r}]\n[images.'{repository}:alpine']\nvariants = ['alpine']\n")
    for tag in ("2.1.106", "2.1", "2", "latest"):
        shop.image(tag, "plain")
    for tag in ("2.1.105-alpine", "2.1-alpine", "2-alpine", "alpine"):
        shop.image(tag, "old")
    shop.image("2.1.106-alpine", "new")
    checked = tagger(None, "check", str(shop), "--json")
    assert (checked.code, {each["tag"] for each in checked.json["drift"]}) == (5, {"2.1-alpine", "2-alpine", "alpine"})
    assert tagger(None, "repair", str(shop)).code == 0
    assert tagger(None, "yank", str(shop), "2.1.106").code == 0
    assert {"2.1.106-yanked", "2.1.106-yanked-alpine"} <= {*shop.tags()}
    assert tagger(None, "check", str(shop)).code == 0


def test_images_that_spell_versions_differently_are_released_by_their_names(settings: Callable[[str], None]) -> None:
    settings("registries = ['127.0.0.1:9']\n[images.gallery]\n[images.api]\nversions = 'main-{n}'\n")
    ran = tagger(None, "release", "--all", "2.1.106")
    assert (ran.code, "name one of them" in ran.error) == (2, True), ran.err


def test_a_promotion_follows_no_policy_for_a_registry_that_it_does_not_go_to(
    registry: Registry, elsewhere: Registry, repository: str, settings: Callable[[str], None]
) -> None:
    shop = Repository(registry, repository)
    shop.image("build-77", "plain")
    policy = f"[[policy]]\nmatch = '{elsewhere.host}/*'\nvariants = ['alpine']\n"
    settings(f"registries = ['{elsewhere.host}']\n{policy}")
    for words in ([], ["--to", str(shop)]):
        ran = tagger(None, "promote", f"{shop}:build-77", "2.1.106", *words)
        assert ran.code == 0, ran.err
        assert {*registry.tags(repository)} == {"build-77", "2.1.106", "2.1", "2", "latest"}
    ran = tagger(None, "promote", f"{shop}:build-77", "2.1.106", "--to", f"{elsewhere.host}/{repository}")
    assert {*elsewhere.tags(repository)} == {"2.1.106-alpine", "2.1-alpine", "2-alpine", "alpine"}, ran.err


def test_a_promotion_does_not_leave_out_the_gates_of_one_repository(
    registry: Registry, repository: str, settings: Callable[[str], None]
) -> None:
    shop = Repository(registry, f"{repository}/shop")
    shop.image("build-77", "plain")
    settings("[[policy]]\nmatch = '*/ui'\ngates = ['false']\nrequire = ['signature']\n")
    to = [word for name in ("test", "ui") for word in ("--to", f"{registry.host}/{repository}/{name}")]
    refused = tagger(None, "promote", f"{shop}:build-77", "2.1.106", *to)
    assert refused.code == 2, refused.err
    assert "the repositories differ in gates: set it for all of them with --gate" in refused.error
    refused = tagger(None, "promote", f"{shop}:build-77", "2.1.106", *to, "--gate", "true")
    assert (refused.code, "the repositories differ in require" in refused.error) == (2, True), refused.err
    assert [registry.tags(f"{repository}/{name}") for name in ("test", "ui")] == [[], []]


def test_a_promotion_does_not_apply_the_rules_of_one_repository_to_another(
    registry: Registry, repository: str, settings: Callable[[str], None]
) -> None:
    shop = Repository(registry, f"{repository}/shop")
    shop.image("build-77", "plain")
    settings(
        f"[images.'{repository}/api']\nprefix = 'api-'\n[images.'{repository}/ui']\nvariants = ['default', 'alpine']\n"
    )
    to = [word for name in ("test", "api", "ui") for word in ("--to", f"{registry.host}/{repository}/{name}")]
    refused = tagger(None, "promote", f"{shop}:build-77", "2.1.106", *to)
    assert refused.code == 2, refused.err
    assert f"{to[1]} and {to[3]} different rules for tags: promote to one of them at a time" in refused.error
    refused = tagger(None, "promote", f"{shop}:build-77", "2.1.106", *to, "--prefix", "v")
    assert (refused.code, f"{to[1]} and {to[5]} different rules" in refused.error) == (2, True), refused.err
    assert [registry.tags(f"{repository}/{name}") for name in ("test", "api", "ui")] == [[], [], []]
    ran = tagger(None, "promote", f"{shop}:build-77", "2.1.106", *to, "--prefix", "", "--variant", "default")
    assert ran.code == 0, ran.err
    assert {*registry.tags(f"{repository}/api")} == {*registry.tags(f"{repository}/ui")} == {*CASCADE}


def test_one_image_is_not_released_for_each_table_that_its_name_selects(
    engine: Engine, registry: Registry, repository: str, settings: Callable[[str], None]
) -> None:
    settings(
        f"[images.gallery]\nrepository = {repository!r}\n"
        f"[images.alpine]\nrepository = {repository!r}\nvariants = ['alpine']\n"
    )
    name = f"{registry.host}/{repository}"
    engine.image(f"{name}:build", "the gallery")
    ran = tagger(engine, "release", f"{name}:build", "2.1.106")
    assert (ran.code, "[images.gallery] and [images.alpine] go to the same repository" in ran.error) == (2, True), (
        ran.err
    )
    assert registry.snapshot(repository) == {}
    assert tagger(engine, "release", f"{name}:build", "2.1.106", TAGGER_VARIANT="default").code == 0
    assert set(registry.tags(repository)) == {*CASCADE}
    assert tagger(None, "ls", name).code == 0, "what reads has all of the lines"


def test_an_image_without_a_table_follows_the_rules_of_the_repository_that_it_goes_to(
    engine: Engine, registry: Registry, repository: str, build: Callable[[str], str], settings: Callable[[str], None]
) -> None:
    image = build("a")
    shared = f"[images.gallery]\nrepository = {repository!r}\n"
    alpine = f"[images.alpine]\nrepository = {repository!r}\nvariants = ['alpine']\n"
    for given in (["--repository", repository], []):
        settings(shared + alpine if given else f"repository = {repository!r}\n{shared}{alpine}")
        ran = tagger(engine, "release", image, "2.1.106", "--registry", registry.host, *given)
        assert (ran.code, "[images.gallery] and [images.alpine] go to the same" in ran.error) == (2, True), ran.err
    assert registry.snapshot(repository) == {}
    settings(f"{shared}prefix = 'v'\n")
    ran = tagger(engine, "release", image, "2.1.106", "--registry", registry.host, "--repository", repository)
    assert ran.code == 0, ran.err
    assert {*registry.tags(repository)} == {"v2.1.106", "v2.1", "v2", "latest"}
    assert tagger(None, "check", f"{registry.host}/{repository}").code == 0
