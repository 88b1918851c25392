"""The command line overrides the environment, which overrides the file; every value says where it comes from."""

import json
import os
import re
import tomllib
from dataclasses import asdict
from pathlib import Path
from unittest.mock import Mock

import pytest
from command import DOCS
from jsonschema import Draft7Validator

from tagger.cli.options import Rules
from tagger.cli.release_options import Target
from tagger.cli.render.markdown import release_variables
from tagger.cli.settings import given, wanted
from tagger.config.check import check
from tagger.config.environment import PASSED_ON, variable
from tagger.config.places import all_places, places
from tagger.config.read import read, read_all, reader
from tagger.config.schema import schema
from tagger.config.settings import KEYS, LIMIT_KEYS, POLICY_KEYS, Config, Given, Settings
from tagger.config.show import as_content, as_text
from tagger.config.toml import toml
from tagger.errors import InputError, InvalidVersion
from tagger.gating.command import Subject
from tagger.names import Digest, Repository
from tagger.releasing.outcome import Outcome, Release
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, parse_version

EVERYTHING = """
registries = ["registry.local:5000", "ghcr.io"]
repository = "gallery/ui"
source = "registry.local:5000/ci/ui:{revision}"
variants = ["default", "alpine"]
prefix = "v"
floats = ["{major}.{minor}", "latest"]
aliases = { lts = "2" }
channels = ["rc"]
ignore = ["9999.0.0"]
zero_major = true
versions = ""
revisions = "-r{n}"
line = "default"
floats_via = "registry"
auth_hosts = ["gitlab.example"]
gates = ["cosign sign {reference}"]
require = ["signature", "sbom"]
after = ["announce", "lock"]
git_tag = "gallery/v{version}"
keep = 5
keep_minors = 3
keep_revisions = 2
older_than = "180d"

[lines.edge]
versions = "main-{n}"
floats = ["edge"]
"""

SCHEMA = Draft7Validator(schema())


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def origins(config: Config) -> dict[str, str]:
    """Return where each value that is not a default comes from."""
    return {origin.key: origin.source for origin in config.origins if origin.source != "default"}


# -- the file --------------------------------------------------------------------------------------------------------


def test_without_a_file_the_defaults_are_in_force(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    found = read(Given(), {}, tmp_path)
    assert (found.settings, found.file, origins(found)) == (Settings(), None, {})
    assert found.schemes() == (Scheme(),)


def test_a_file_may_have_every_setting(tmp_path: Path) -> None:
    file = write(tmp_path / "tagger.toml", EVERYTHING)
    found = read(Given(), {}, tmp_path)
    assert found.settings == Settings(
        registries=("registry.local:5000", "ghcr.io"),
        repository="gallery/ui",
        source="registry.local:5000/ci/ui:{revision}",
        variants=("default", "alpine"),
        prefix="v",
        floats=("{major}.{minor}", "latest"),
        aliases=(("lts", "2"),),
        channels=("rc",),
        ignore=("9999.0.0",),
        zero_major=True,
        revisions="-r{n}",
        lines=(("edge", {"versions": "main-{n}", "floats": ("edge",)}),),
        line="default",
        floats_via="registry",
        auth_hosts=("gitlab.example",),
        gates=("cosign sign {reference}",),
        require=("signature", "sbom"),
        after=("announce", "lock"),
        git_tag="gallery/v{version}",
        keep=5,
        keep_minors=3,
        keep_revisions=2,
        older_than="180d",
    )
    assert origins(found) == dict.fromkeys(KEYS, str(file))


def test_the_schemes_follow_from_the_settings(tmp_path: Path) -> None:
    write(tmp_path / "tagger.toml", EVERYTHING)
    plain, alpine = read(Given(), {}, tmp_path).schemes()
    assert " ".join(plain.tags(Version.parse("2.1.106"))) == "v2.1.106 v2.1 latest lts rc"
    assert " ".join(alpine.tags(Version.parse("2.1.106"))) == "v2.1.106-alpine v2.1-alpine alpine lts-alpine rc-alpine"
    assert plain.floating_tags(Version.parse("9999.0.0")) == ()


def test_the_nearest_file_upward_is_the_only_one_read(tmp_path: Path) -> None:
    write(tmp_path / "tagger.toml", 'prefix = "v"\nrepository = "outer"')
    inner = write(tmp_path / "a/tagger.toml", 'repository = "inner"')
    (tmp_path / ".git").mkdir()
    (tmp_path / "a/b/c").mkdir(parents=True)
    found = read(Given(), {}, tmp_path / "a/b/c")
    assert (found.file, found.settings.repository, found.settings.prefix) == (inner, "inner", "")


def test_two_files_with_settings_in_one_folder_are_refused_by_their_names(tmp_path: Path) -> None:
    pyproject = write(tmp_path / "pyproject.toml", '[tool.tagger]\nprefix = "v"')
    assert origins(read(Given(), {}, tmp_path)) == {"prefix": f"{pyproject} [tool.tagger]"}
    file = write(tmp_path / "tagger.toml", "")
    with pytest.raises(InputError) as refusal:
        read(Given(), {}, tmp_path)
    assert f"{file} and {pyproject} [tool.tagger] both have settings" in str(refusal.value)
    pyproject.write_text("[tool.other]")
    assert read(Given(), {}, tmp_path).settings == Settings()


def test_a_pyproject_without_our_table_is_skipped(tmp_path: Path) -> None:
    write(tmp_path / "tagger.toml", 'prefix = "v"')
    write(tmp_path / "a/pyproject.toml", "[tool.other]\n[project]\nname = 'x'")
    write(tmp_path / "a/b/pyproject.toml", "tool = 3")
    (tmp_path / ".git").mkdir()
    assert read(Given(), {}, tmp_path / "a/b").settings.prefix == "v"


@pytest.mark.parametrize("root", [".git/HEAD", ".git"])
def test_nothing_outside_the_checkout_is_read(tmp_path: Path, root: str) -> None:
    write(tmp_path / "tagger.toml", 'prefix = "v"')
    write(tmp_path / "checkout" / root, "gitdir: elsewhere")
    (tmp_path / "checkout/src").mkdir()
    assert read(Given(), {}, tmp_path / "checkout/src").file is None
    own = write(tmp_path / "checkout/tagger.toml", "")
    assert read(Given(), {}, tmp_path / "checkout/src").file == own


def test_outside_a_checkout_only_the_working_directory_counts(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    for name, content in (("tagger.toml", 'prefix = "v"'), ("pyproject.toml", '[tool.tagger]\nprefix = "v"')):
        file = write(tmp_path / name, content)
        assert read(Given(), {"HOME": f"{tmp_path}/work"}, tmp_path / "work").file is None
        assert read(Given(), {}, tmp_path).file == file
        with pytest.raises(InputError, match="there is no table"):
            read_all(Given(), {}, tmp_path / "work")
        file.unlink()


@pytest.mark.parametrize("name", ["tagger.toml", "pyproject.toml"])
@pytest.mark.parametrize("link", [False, True])
def test_a_file_of_another_user_has_no_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, link: bool
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "work").mkdir()
    file = write(tmp_path / name, '[tool.tagger]\nprefix = "v"' if name == "pyproject.toml" else 'prefix = "v"')
    assert read(Given(), {}, tmp_path / "work").file == file
    if link:
        file.rename(tmp_path / "ours")
        file.symlink_to(tmp_path / "ours")
    _of_another_user(file, monkeypatch)
    with pytest.raises(
        InputError, match=rf"{name}.* belongs to another user \(\d+\), .*: take ownership with chown"
    ) as no:
        read(Given(), {}, tmp_path / "work")
    assert no.value.exit_code == 2
    if os.geteuid() == 0:
        assert read(Given(), {"SUDO_UID": "4711"}, tmp_path / "work").file == file


def test_a_pyproject_of_another_user_without_our_table_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _of_another_user(write(tmp_path / "pyproject.toml", "[tool.other]"), monkeypatch)
    assert read(Given(), {}, tmp_path).file is None


def _of_another_user(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a file belong to another user: change its owner, or act as another user."""
    if os.geteuid() == 0:
        os.chown(file, 4711, -1, follow_symlinks=False)
    else:
        monkeypatch.setattr("tagger.config.file.os.geteuid", lambda: file.lstat().st_uid + 1)


def test_a_deleted_folder_has_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(InputError, match="run tagger in a folder that you may read"):
        read(Given(), {}, Path())
    monkeypatch.undo()


# -- what goes before what -------------------------------------------------------------------------------------------


def test_the_command_line_overrides_the_environment_and_that_overrides_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "tagger.toml", 'prefix = "v"\nrepository = "file"\nregistries = ["file.local"]')
    environment = {"TAGGER_REPOSITORY": "environment", "TAGGER_REGISTRY": "environment.local"}
    found = read(Given(registries=("option.local",)), environment, tmp_path)
    assert (found.settings.registries, found.settings.repository, found.settings.prefix) == (
        ("option.local",),
        "environment",
        "v",
    )
    assert origins(found) == {"registries": "command line", "repository": "TAGGER_REPOSITORY", "prefix": str(file)}


def test_the_command_line_can_take_a_value_away(tmp_path: Path) -> None:
    write(tmp_path / "tagger.toml", EVERYTHING)
    found = read(Given(prefix="", channels=(), zero_major=False), {}, tmp_path)
    assert (found.settings.prefix, found.settings.channels, found.settings.zero_major) == ("", (), False)


def test_the_environment_may_have_every_setting(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    environment = {
        "TAGGER_REGISTRY": "registry.local:5000, ghcr.io,",
        "TAGGER_REPOSITORY": "gallery/ui",
        "TAGGER_SOURCE": "registry.local:5000/ci/ui:{revision}",
        "TAGGER_VARIANT": "default,alpine",
        "TAGGER_PREFIX": "v",
        "TAGGER_FLOATS": "{major}.{minor},latest",
        "TAGGER_ALIASES": "lts=2",
        "TAGGER_CHANNELS": "rc",
        "TAGGER_IGNORE": "9999.0.0",
        "TAGGER_ZERO_MAJOR": "true",
        "TAGGER_REVISIONS": "-r{n}",
        "TAGGER_LINE": "default",
        "TAGGER_FLOATS_VIA": "registry",
        "TAGGER_AUTH_HOST": "gitlab.example",
        "TAGGER_GATES": "\n cosign sign {reference}\n",
        "TAGGER_REQUIRE": "signature, sbom",
        "TAGGER_AFTER": "announce\nlock",
        "TAGGER_GIT_TAG": "gallery/v{version}",
        "TAGGER_KEEP": "5",
        "TAGGER_KEEP_MINORS": "3",
        "TAGGER_KEEP_REVISIONS": "2",
        "TAGGER_OLDER_THAN": "180d",
    }
    found = read(Given(), environment, tmp_path)
    write(tmp_path / "tagger.toml", EVERYTHING.partition("[lines")[0])
    assert found.settings == read(Given(), {}, tmp_path).settings
    assert set(origins(found).values()) == environment.keys()


def test_an_empty_variable_and_an_unknown_name_are_ignored(tmp_path: Path) -> None:
    file = write(tmp_path / "tagger.toml", 'prefix = "v"')
    assert origins(read(Given(), {"TAGGER_PREFIX": " ", "TAGGER_TEST": "x"}, tmp_path)) == {"prefix": str(file)}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TAGGER_REGISTRIES", "TAGGER_REGISTRY"),
        ("TAGGER_VARIANTS", "TAGGER_VARIANT"),
        ("TAGGER_AUTHHOSTS", "TAGGER_AUTH_HOST"),
        ("TAGGER_PREFIXX", "TAGGER_PREFIX"),
        ("TAGGER_ALIAS", "TAGGER_ALIASES"),
        ("TAGGER_FLOATSVIA", "TAGGER_FLOATS_VIA"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_right_name(tmp_path: Path, name: str, meant: str) -> None:
    with pytest.raises(InputError, match=rf"{name} in the environment is not a setting: did you mean {meant}\?"):
        read(Given(), {name: "x"}, tmp_path)
    assert origins(read(Given(), {name: " "}, tmp_path)) == {}


@pytest.mark.parametrize("name", ["TAGGER_IMAGE", "TAGGER_TIMEOUT", "TAGGER_REGISTRY_USER", "TAGGER_TOKEN", "TAGGER_"])
def test_a_variable_without_a_similar_setting_is_ignored(tmp_path: Path, name: str) -> None:
    assert origins(read(Given(), {name: "x"}, tmp_path)) == {}


def test_the_outputs_of_a_release_are_not_misspelt_settings(tmp_path: Path) -> None:
    lines = release_variables(
        Release("a", "1.0.0", dry_run=False, outcome=Outcome.REFUSED, repositories=())
    ).splitlines()
    told = {line.partition("=")[0] for line in lines}
    assert told == PASSED_ON
    assert origins(read(Given(), dict.fromkeys(told, "x"), tmp_path)) == {}


def test_the_repository_variable_of_a_gate_is_not_a_setting(tmp_path: Path) -> None:
    told = Subject(Repository.parse("a.local/gallery/ui"), Digest("sha256:" + "0" * 64), "1.0.0").variables()
    assert origins(read(Given(), told, tmp_path)) == {}
    mine = {**told, "TAGGER_REPOSITORY": "gallery/ui"}
    assert origins(read(Given(), mine, tmp_path)) == {"repository": "TAGGER_REPOSITORY"}


def test_a_variant_that_is_not_requested_is_still_known(tmp_path: Path) -> None:
    write(tmp_path / "tagger.toml", 'variants = ["default", "alpine"]')
    (plain,) = read(Given(variants=("default",)), {}, tmp_path).schemes()
    assert plain.parse("2.1.106-alpine") is None


OWN_VARIANTS = '[lines.edge]\nprefix = "e-"\nfloats = ["edge"]\nvariants = ["default", "slim"]'


@pytest.mark.parametrize(
    ("given", "environment"), [(Given(variants=("slim",)), {}), (Given(), {"TAGGER_VARIANT": "slim"})]
)
def test_a_requested_variant_replaces_those_of_every_line(
    tmp_path: Path, given: Given, environment: dict[str, str]
) -> None:
    write(tmp_path / "tagger.toml", OWN_VARIANTS)
    released = parse_version("2.1.106")
    (slim,) = read({**given, "line": "edge"}, environment, tmp_path).schemes()
    assert [*slim.tags(released)] == ["e-2.1.106-slim", "edge-slim"]
    every = read(given, environment, tmp_path).all_schemes()
    assert [str(each.version_tag(released)) for each in every] == ["2.1.106-slim", "e-2.1.106-slim"]
    (plain,) = read(Given(variants=("default",), line="edge"), {}, tmp_path).schemes()
    assert plain.parse("e-2.1.106-slim") is None, "a variant that is not asked for is still known"
    every = read(Given(variants=("alpine",)), {}, tmp_path).all_schemes()
    assert [str(each.version_tag(released)) for each in every] == ["2.1.106-alpine"], "edge has no alpine"


def test_a_prefix_on_the_command_line_is_for_no_other_line(tmp_path: Path) -> None:
    write(tmp_path / "tagger.toml", OWN_VARIANTS)
    for name in ("default", ""):
        assert read(Given(prefix="x-", line=name), {}, tmp_path).schemes()[0].prefix == "x-"
    with pytest.raises(InputError, match="--prefix is for the line at the top"):
        read(Given(prefix="x-", line="edge"), {}, tmp_path)


# -- several images --------------------------------------------------------------------------------------------------

IMAGES = """
registries = ["registry.local:5000"]
prefix = "v"
aliases = { lts = "2" }

[images.gallery]
repository = "gallery/ui"

[images.api]
repository = "gallery/api"
prefix = ""
aliases = { stable = "1.30" }
"""


@pytest.mark.parametrize(
    ("image", "repository", "prefix"),
    [
        ("gallery", "gallery/ui", "v"),
        ("api", "gallery/api", ""),
        ("api:build-77", "gallery/api", ""),
        ("registry.local:5000/api:build-77", "gallery/api", ""),
        ("registry.local:5000/gallery/api", "gallery/api", ""),
        (f"api@sha256:{'0' * 64}", "gallery/api", ""),
        ("other", None, "v"),
        ("team/api", None, "v"),
        ("registry.local:5000/team/api", None, "v"),
        ("sha256:" + "0" * 64, None, "v"),
        ("No Name", None, "v"),
        (None, None, "v"),
    ],
)
def test_an_image_has_its_own_table_and_takes_the_rest_from_the_top_of_the_file(
    tmp_path: Path, image: str | None, repository: str | None, prefix: str
) -> None:
    write(tmp_path / "tagger.toml", IMAGES)
    found = read(Given(), {}, tmp_path, image)
    assert (found.settings.repository, found.settings.prefix) == (repository, prefix)
    assert found.settings.registries == ("registry.local:5000",)


def test_a_table_of_aliases_is_replaced_as_a_whole_and_its_source_is_shown(tmp_path: Path) -> None:
    file = write(tmp_path / "tagger.toml", IMAGES)
    found = read(Given(), {}, tmp_path, "api")
    assert found.settings.aliases == (("stable", "1.30"),)
    assert origins(found)["aliases"] == f"{file} [images.api]"
    assert origins(found)["registries"] == str(file)


# -- the meaning of a name -------------------------------------------------------------------------------------------

TABLES = """
registries = ["a.local", "b.local"]

[images.gallery]
repository = "gallery/ui"

[images."gallery:alpine"]
repository = "gallery/ui"
variants = ["alpine"]

[images.here]
registries = []
repository = "team/here"

[images."c.local/there"]
registries = []
"""


@pytest.mark.parametrize(
    ("name", "stands_for"),
    [
        ("gallery", ["a.local/gallery/ui", "b.local/gallery/ui"]),
        ("gallery:alpine", ["a.local/gallery/ui", "b.local/gallery/ui"]),
        ("here", ["docker.io/team/here"]),
        ("c.local/there", ["c.local/there"]),
        ("c.local/gallery/ui", ["c.local/gallery/ui"]),
        ("gallery/ui", ["gallery/ui"]),
        ("docker.io/gallery", ["docker.io/gallery"]),
    ],
)
def test_a_name_means_the_repositories_of_its_release(tmp_path: Path, name: str, stands_for: list[str]) -> None:
    write(tmp_path / "tagger.toml", TABLES)
    assert [place.repository for place in places(Given(), {}, tmp_path, name)] == stands_for
    assert [place.repository for place in places(Given(), {}, tmp_path / "gone", name)] == [name]


def test_a_repository_of_several_tables_is_used_once_with_the_variants_of_all(tmp_path: Path) -> None:
    write(tmp_path / "tagger.toml", TABLES.partition("[images.here]")[0])
    (group,) = all_places(Given(), {}, tmp_path)
    assert [place.repository for place in group] == ["a.local/gallery/ui", "b.local/gallery/ui"]
    assert {place.config.settings.variants for place in group} == {("default", "alpine")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the settings name no repository"),
        ('repository = "gallery/ui"', "the settings name no repository"),
        ('[images.gallery]\nrepository = "gallery/ui"', "the settings name no registry for images.gallery"),
    ],
)
def test_settings_that_leave_out_a_registry_are_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "tagger.toml", text)
    with pytest.raises(InputError, match=message):
        all_places(Given(), {}, tmp_path)


def test_without_tables_the_top_of_the_file_names_the_only_repository(tmp_path: Path) -> None:
    write(tmp_path / "tagger.toml", 'registries = ["a.local"]\nrepository = "gallery/ui"\n')
    ((place,),) = all_places(Given(), {}, tmp_path)
    assert place.repository == "a.local/gallery/ui"


def test_a_file_is_read_once_however_many_images_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = "".join(f'[images.image-{number}]\nrepository = "gallery/{number}"\n' for number in range(50))
    (tmp_path / "tagger.toml").write_text(f'registries = ["registry.local:5000"]\n{images}')
    parsed = Mock(side_effect=tomllib.loads)
    monkeypatch.setattr(tomllib, "loads", parsed)
    assert len(all_places(Given(), {}, tmp_path)) == 50
    assert parsed.call_count == 1


# -- bad input -------------------------------------------------------------------------------------------------------


WRONG = [
    ('prefixx = "v"', "has an unknown key prefixx: did you mean prefix\\?"),
    ('registry = "a"', "has an unknown key registry: did you mean registries\\?"),
    ('[images.a]\nname = "a"', "has an unknown key images.a.name: the keys are"),
    ("colour = 3", "has an unknown key colour: the keys are registries, repository, .*, images, policy$"),
    ("[images.a.images.b]", "has an unknown key images.a.images: the keys are"),
    ('require = ["signature", "luck"]', "require takes a list of signature, provenance, sbom"),
    ("images = 3", r"images takes a table for each image, such as \[images.gallery\]"),
    ("[images]\ngallery = 3", "images takes a table for each image"),
    ("prefix = 3", "prefix takes a string"),
    ('registries = "a"', "registries takes a list of strings"),
    ("variants = [1]", "variants takes a list of strings"),
    ('zero_major = "true"', "zero_major takes true or false"),
    ("zero_major = 1", "zero_major takes true or false"),
    ('floats_via = "push"', "floats_via takes one of engine, registry"),
    ('git_tag = "gallery/v"', r"git_tag takes a text with \{version\} in it once, such as gallery/v\{version\}"),
    ('aliases = ["lts"]', "aliases takes a table of strings"),
    ("aliases = { lts = 24 }", r'aliases takes a table of strings, such as \{ lts = "24" \}'),
    ("[images.a]\nprefix = 3", "images.a.prefix takes a string"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
@pytest.mark.parametrize("name", ["tagger.toml", "pyproject.toml"])
def test_an_unknown_key_or_a_wrong_type_is_reported_with_file_key_and_allowed_values(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    ours = text.replace("[images", "[tool.tagger.images") if name == "pyproject.toml" else text
    heading = "" if name == "tagger.toml" or ours.startswith("[") else "[tool.tagger]\n"
    write(tmp_path / name, heading + ours)
    with pytest.raises(InputError, match=f"^{tmp_path}/{name}.* {message}"):
        read(Given(), {}, tmp_path)


def test_a_number_with_too_many_digits_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "tagger.toml", f"keep = {'9' * 5000}")
    with pytest.raises(InputError, match=r"tagger\.toml is not TOML: .*5000 digits"):
        read(Given(), {}, tmp_path)


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_a_variable_without_an_item_is_ignored(tmp_path: Path, text: str) -> None:
    file = write(tmp_path / "tagger.toml", 'registries = ["registry.local:5000"]')
    found = read(Given(), {"TAGGER_REGISTRY": text}, tmp_path)
    assert (found.settings.registries, origins(found)["registries"]) == (("registry.local:5000",), str(file))


def test_a_value_that_is_not_a_table_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", "[tool]\ntagger = 3")
    with pytest.raises(InputError, match=r"\[tool\.tagger\] is not a table"):
        read(Given(), {}, tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("TAGGER_ZERO_MAJOR", "yes", "TAGGER_ZERO_MAJOR takes true or false"),
        ("TAGGER_FLOATS_VIA", "push", "TAGGER_FLOATS_VIA takes one of engine, registry"),
        ("TAGGER_ALIASES", "lts", "TAGGER_ALIASES takes name=line"),
        ("TAGGER_ALIASES", "=2", "TAGGER_ALIASES takes name=line"),
        ("TAGGER_KEEP", "9" * 5000, "TAGGER_KEEP takes a number of at least 1"),
    ],
)
def test_a_wrong_value_in_the_environment_is_reported(tmp_path: Path, name: str, value: str, message: str) -> None:
    with pytest.raises(InputError, match=f"the environment: {message}"):
        read(Given(), {name: value}, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"prefix = \n", r"is not TOML: .*line 1"),
        (b"\n\nprefix = 'v'\nprefix = 'w'\n", r"is not TOML: .*line 4"),
        (b"\n# \xff\n", r"is not UTF-8 \(at line 2\)"),
        (b"a = " + b"[" * 100_000, r"nested too deeply"),
        (b"#" * (1 << 20) + b"#", r"is larger than 1048576 bytes"),
    ],
)
def test_a_broken_file_gives_one_clear_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "tagger.toml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message) as refusal:
        read(Given(), {}, tmp_path)
    assert str(refusal.value).startswith(str(file))
    assert str(refusal.value).isprintable()


def test_a_byte_order_mark_before_the_settings_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "tagger.toml").write_bytes(b'\xef\xbb\xbfprefix = "v"\n')
    assert read(Given(), {}, tmp_path).settings.prefix == "v"


def test_a_path_that_is_not_a_regular_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "tagger.toml").mkdir()
    assert read(Given(), {}, tmp_path).file is None


def test_unreadable_settings_are_not_skipped(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "pipe").mkdir()
    (tmp_path / "link").mkdir()
    os.mkfifo(tmp_path / "pipe/tagger.toml")
    (tmp_path / "link/tagger.toml").symlink_to("not/checked/out.toml")
    for name in ("pipe", "link"):
        with pytest.raises(InputError, match=f"{name}/tagger.toml is a pipe or a broken link: replace it"):
            read(Given(), {}, tmp_path / name)


def test_an_impossible_scheme_is_reported_with_its_source(tmp_path: Path) -> None:
    file = write(tmp_path / "tagger.toml", 'ignore = ["9999"]')
    with pytest.raises(InvalidVersion, match=r"'9999' is not a semantic version.*tagger\.toml"):
        read(Given(), {}, tmp_path).schemes()
    file.write_text('aliases = { "2.1.106" = "2" }')
    with pytest.raises(InputError, match=r"alias '2\.1\.106' spells .*settings of TAGGER_PREFIX, .*tagger\.toml"):
        read(Given(), {"TAGGER_PREFIX": "v"}, tmp_path).schemes()


# -- what is in force ------------------------------------------------------------------------------------------------


def test_the_settings_in_force_are_shown_as_an_equivalent_file(tmp_path: Path) -> None:
    file = write(tmp_path / "a/tagger.toml", EVERYTHING)
    found = read(Given(prefix="api-"), {"TAGGER_CHANNELS": "beta"}, tmp_path / "a")
    text = as_text(found)
    write(tmp_path / "b/tagger.toml", text)
    assert read(Given(), {}, tmp_path / "b").settings == found.settings
    behind = {line.split(" = ")[0]: line.rpartition("  # ")[2] for line in text.splitlines()}
    assert behind["prefix"] == "command line"
    assert behind["channels"] == "TAGGER_CHANNELS"
    assert behind["registries"] == str(file)


def test_the_lines_in_force_are_shown_as_an_equivalent_file(tmp_path: Path) -> None:
    lines = {"edge": {"versions": "main-{n}", "floats": ["edge"], "aliases": {"since-7": "main-7"}}, "x.y": {}}
    write(tmp_path / "a/tagger.toml", f"lines = {toml(lines)}")
    found = read(Given(), {}, tmp_path / "a")
    write(tmp_path / "b/tagger.toml", as_text(found))
    assert read(Given(), {}, tmp_path / "b").settings == found.settings
    assert json.loads(json.dumps(as_content(found)))["settings"]["lines"]["value"] == lines


def test_a_missing_value_is_not_shown_as_text(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    shown = tomllib.loads(as_text(read(Given(), {}, tmp_path)))
    assert shown["floats"] == [*Scheme().floats]
    assert shown.keys() == {*KEYS} - {"repository", "source", "git_tag", "line", *LIMIT_KEYS}


def test_the_json_says_file_image_and_the_source_of_each_value(tmp_path: Path) -> None:
    file = write(tmp_path / "tagger.toml", IMAGES)
    shown = json.loads(json.dumps(as_content(read(Given(), {}, tmp_path, "gallery"))))
    assert (shown["file"], shown["image"]) == (str(file), "gallery")
    assert shown["settings"]["repository"] == {"value": "gallery/ui", "source": f"{file} [images.gallery]"}
    assert shown["settings"]["aliases"] == {"value": {"lts": "2"}, "source": str(file)}
    assert shown["settings"]["channels"] == {"value": [], "source": "default"}
    assert shown["settings"].keys() == {*KEYS}


# -- policies ----------------------------------------------------------------------------------------------------------

POLICIES = """
prefix = "v"
keep = 9

[[policy]]
match = "*"
channels = ["rc"]
keep = 5

[[policy]]
match = "*/platform/*"
variants = ["default", "alpine"]
require = ["signature"]
keep = 2

[images.gallery]
repository = "platform/gallery"
registries = ["a.example", "b.example"]
variants = ["default"]
"""


@pytest.mark.parametrize(
    ("repository", "variants", "require", "keep"),
    [
        ("a.example/platform/api", ("default", "alpine"), ("signature",), 2),
        ("a.example/team/platform/api", ("default", "alpine"), ("signature",), 2),
        ("a.example/web/api", ("default",), (), 5),
        ("a.example/platform", ("default",), (), 5),
        ("platform/api", ("default", "alpine"), ("signature",), 2),
    ],
)
def test_the_last_matching_policy_wins(
    tmp_path: Path, repository: str, variants: tuple[str, ...], require: tuple[str, ...], keep: int
) -> None:
    file = write(tmp_path / "tagger.toml", POLICIES)
    for found in (read(Given(), {}, tmp_path, repository), reader(Given(), {}, tmp_path)(repository)):
        settings = found.settings
        assert (settings.variants, settings.require, settings.keep) == (variants, require, keep)
        assert (settings.prefix, settings.channels) == ("v", ("rc",))
        source = '2 "*/platform/*"' if keep == 2 else '1 "*"'
        assert origins(found)["keep"] == f"{file} [[policy]] {source}"
        assert origins(found)["prefix"] == str(file)


def test_the_table_of_an_image_overrides_policies_and_those_override_the_top_of_the_file(tmp_path: Path) -> None:
    write(tmp_path / "tagger.toml", POLICIES)
    for name in ("gallery", "gallery:build-7", "b.example/platform/gallery"):
        found = read(Given(), {}, tmp_path, name).settings
        assert (found.variants, found.require, found.keep) == (("default",), ("signature",), 2)
    for place in (each for group in all_places(Given(), {}, tmp_path) for each in group):
        assert place.config.limits == {"keep": 2}
    assert [found.settings.require for found in read_all(Given(), {}, tmp_path)] == [("signature",)]
    said = read({**Given(), "require": ("sbom",)}, {"TAGGER_KEEP": "7"}, tmp_path, "gallery").settings
    assert (said.require, said.keep) == (("sbom",), 7)


def test_a_policy_applies_to_the_target_of_an_image(tmp_path: Path) -> None:
    write(tmp_path / "tagger.toml", '[[policy]]\nmatch = "prod.example/*"\nrequire = ["signature"]\n')
    asked = {"a": None, "prod.example/a": None, "test.example/a": "test.example", "b": "prod.example"}
    found = {
        name: read({**Given(), "registries": (registry,) if registry else None}, {}, tmp_path, name).settings.require
        for name, registry in asked.items()
    }
    assert found == {"a": (), "prod.example/a": ("signature",), "test.example/a": (), "b": ("signature",)}


def test_a_release_follows_the_policies_of_the_repositories_that_it_goes_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '[[policy]]\nmatch = "prod.example/platform/*"\nvariants = ["default", "alpine"]\nrequire = ["signature"]'
    monkeypatch.chdir(write(tmp_path / "tagger.toml", text).parent)
    for path, require in (("platform/api", ("signature",)), ("web/api", ())):
        said = given(Rules(), Target(registry=["test.example", "prod.example"], repository=path))
        chosen = wanted("build", said)
        (image,) = chosen.images
        assert (image.repository, chosen.settings.require) == (path, require)
        assert {scheme.variant for scheme in image.schemes} == ({"", "alpine"} if require else {""})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("policy = 3", "policy takes tables, each below a heading"),
        ("[[policy]]\nkeep = 1", "policy 1.match takes a pattern"),
        ('[[policy]]\nmatch = "*"\nkeep = 0', "policy 1.keep takes a number of at least 1"),
        ('[[policy]]\nmatch = "*"\nkeep = true', "policy 1.keep takes a number of at least 1"),
        ('[[policy]]\nmatch = "*"\nolder_than = "half a year"', "policy 1.older_than takes days"),
        ('[[policy]]\nmatch = "*"\nrepository = "a"', "has an unknown key policy 1.repository"),
        ('[[policy]]\nmatch = "*"\nregistries = ["a"]', "policy 1.registries: write it at the top of the file, or in"),
        ('[lines.edge]\nregistries = ["a"]', "lines.edge.registries: write it at the top of the file, or in"),
        ('[[policy]]\nmatch = "*"\nfloats = ["{nonsense}"]', '[[policy]] 1 "*": '),
    ],
)
def test_a_policy_or_line_that_makes_no_sense_is_named(tmp_path: Path, text: str, says: str) -> None:
    write(tmp_path / "tagger.toml", text)
    (problem, *_) = check({}, tmp_path).problems
    assert says in str(problem)


def test_a_policy_may_have_every_setting_except_source_and_target() -> None:
    assert {*KEYS} - {*POLICY_KEYS} == {"registries", "repository", "source", "line"}
    assert SCHEMA.is_valid(tomllib.loads(POLICIES))
    assert not SCHEMA.is_valid({"policy": [{"keep": 3}]})
    assert not SCHEMA.is_valid({"policy": [{"match": "*", "repository": "a"}]})


@pytest.mark.parametrize("text", ["0", "-1", "five", "1.5", "\u0663"])
def test_a_number_in_the_environment_is_read_as_a_number(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="TAGGER_KEEP takes a number of at least 1"):
        read(Given(), {"TAGGER_KEEP": text}, tmp_path)


# -- the whole file --------------------------------------------------------------------------------------------------


def test_a_check_names_every_problem_of_the_file(tmp_path: Path) -> None:
    file = write(
        tmp_path / "tagger.toml",
        """
registries = ["registry.local:5000"]
prefixx = "v"

[images.gallery]
repository = "gallery/ui"
zero_major = "yes"

[images.other]
repository = "gallery/ui"

[images.api]
floats = ["{minor}"]

[images."No Name"]

[images.tools]
gates = ["cosign 'sign"]

[images.docs]
registries = ["https://registry.local"]
""",
    )
    found = check({}, tmp_path)
    assert (found.file, found.images) == (file, ("gallery", "other", "api", "No Name", "tools", "docs"))
    heard = iter(map(str, found.problems))
    for words in (
        "unknown key prefixx: did you mean prefix?",
        "images.gallery.zero_major takes true or false",
        "images.other and images.gallery would both write registry.local:5000/gallery/ui:7.8.9",
        "template '{minor}' is ambiguous",
        "images.No Name: 'No Name' is not a repository name",
        "images.tools: the command cosign 'sign cannot be read",
        "images.docs: registry 'https://registry.local' is a URL",
    ):
        assert words in next(heard)
    assert not [*heard]


def test_a_check_finds_problems_that_only_the_environment_causes(tmp_path: Path) -> None:
    write(tmp_path / "tagger.toml", IMAGES)
    assert not check({"TAGGER_CHANNELS": "rc"}, tmp_path).problems
    (problem,) = check({"TAGGER_REGISTRIES": "x"}, tmp_path).problems
    assert "did you mean TAGGER_REGISTRY?" in str(problem)
    assert "alias '2.1.106'" in str(check({"TAGGER_ALIASES": "2.1.106=2"}, tmp_path).problems[0])


def test_a_check_without_a_file_reports_that_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no tagger\.toml or pyproject\.toml in "):
        check({}, tmp_path)


@pytest.mark.parametrize("text", ["", EVERYTHING, IMAGES])
def test_the_schema_for_editors_accepts_what_tagger_accepts(text: str) -> None:
    assert SCHEMA.is_valid(tomllib.loads(text))


@pytest.mark.parametrize(("text", "_"), WRONG)
def test_the_schema_for_editors_refuses_what_tagger_refuses(text: str, _: str) -> None:
    assert not SCHEMA.is_valid(tomllib.loads(text))


def test_the_schema_for_editors_has_every_setting_with_its_default() -> None:
    keys = {key: each.get("default") for key, each in schema()["properties"].items() if key not in {"images", "policy"}}
    assert keys == {**json.loads(json.dumps(asdict(Settings()))), "aliases": {}, "lines": {}}
    assert {variable(key) for key in keys if key != "lines"} <= {
        *re.findall("TAGGER_[A-Z_]+", (DOCS / "settings.md").read_text())
    }
