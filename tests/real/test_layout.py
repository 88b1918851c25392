"""Promotion from an OCI layout, a folder or its tar: the same digest, all of it, and nothing from a broken one."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from command import tagger
from pushed import INDEX, MANIFEST, Layout, Pushed, Repository
from services import ContainerdEngine, Podman, Registry

import tagger as api

CASCADE = ("2.1.106", "2.1", "2", "latest")

pytestmark = pytest.mark.engine


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty layout."""
    folder = tmp_path / "layout"
    folder.mkdir()
    return Layout(folder)


@pytest.fixture
def target(registry: Registry, repository: str) -> Repository:
    """An empty repository."""
    return Repository(registry, repository)


def cascade_of(repository: Repository) -> dict[str, str]:
    """Return where the tags of the cascade point."""
    found = repository.registry.snapshot(repository.path)
    return {tag: digest for tag, digest in found.items() if tag in CASCADE}


# -- which image -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["folder", "tar", "tar of the folder"])
def test_the_only_image_of_a_layout_is_promoted_whole(
    layout: Layout, target: Repository, tmp_path: Path, written: str
) -> None:
    built = layout.index("", "gallery")
    prefix = "./" if written == "tar" else "layout/"
    source = layout.folder if written == "folder" else layout.tar(tmp_path / "image.tar", prefix)
    ran = tagger(None, "promote", f"oci:{source}", "2.1.106", "--to", str(target), "--json")
    assert (ran.code, ran.json["outcome"], ran.json["image"]) == (0, "released", f"oci:{source}"), ran.err
    assert cascade_of(target) == dict.fromkeys(CASCADE, built.digest)
    assert target.holds_all_of(built)
    assert tagger(None, "promote", f"oci:{source}", "2.1.106", "--to", str(target), "--json").json["outcome"] == (
        "unchanged"
    )


def test_an_image_is_chosen_by_its_name_or_its_digest(layout: Layout, target: Repository) -> None:
    one, two = layout.image("build-77", "one"), layout.image("registry.local:5000/app:2.1", "two")
    api.promote(f"{layout}:build-77", "1.0.0", to=str(target))
    api.promote(f"{layout}:registry.local:5000/app:2.1", "2.0.0", to=str(target))
    api.promote(f"{layout}@{one.digest}", "3.0.0", to=str(target))
    tags = target.registry.snapshot(target.path)
    assert [tags[tag] for tag in ("1.0.0", "2.0.0", "3.0.0")] == [one.digest, two.digest, one.digest]


def test_an_image_of_an_index_is_chosen_by_its_digest(layout: Layout, target: Repository) -> None:
    built = layout.index("", "gallery")
    child = json.loads(built.body)["manifests"][0]["digest"]
    api.promote(f"{layout}@{child}", "2.1.106", to=str(target))
    assert cascade_of(target) == dict.fromkeys(CASCADE, child)


def test_several_images_are_listed_with_the_way_to_choose(layout: Layout, target: Repository) -> None:
    one, two = layout.image("build-77", "one"), layout.image("", "two")
    ran = tagger(None, "promote", str(layout), "2.1.106", "--to", str(target))
    assert ran.code == 2, ran.err
    assert f"several images: build-77 ({one.digest}), {two.digest}" in ran.error
    assert f"oci:{layout.folder}:NAME or oci:{layout.folder}@DIGEST" in ran.error
    absent = tagger(None, "promote", f"{layout}:build-78", "2.1.106", "--to", str(target))
    assert (absent.code, f"no image named build-78, but build-77 ({one.digest})" in absent.error) == (2, True)
    assert target.tags() == []


def test_one_image_with_several_names_needs_no_choice(layout: Layout, target: Repository) -> None:
    built = layout.image("2.1.106", "gallery")
    layout.list(built, **{"io.containerd.image.name": "docker.io/library/gallery:latest"})
    api.promote(str(layout), "2.1.106", to=str(target))
    assert cascade_of(target) == dict.fromkeys(CASCADE, built.digest)


def test_a_path_may_have_a_colon(layout: Layout, target: Repository, tmp_path: Path) -> None:
    built = layout.image("a:b", "gallery")
    layout.folder.rename(tmp_path / "out:77")
    api.promote(f"oci:{tmp_path}/out:77:a:b", "2.1.106", to=str(target))
    assert cascade_of(target) == dict.fromkeys(CASCADE, built.digest)


def test_referrers_of_an_image_in_a_layout_are_copied_too(layout: Layout, target: Repository) -> None:
    built = layout.image("build-77", "gallery")
    config, text = layout.blob(b"{}", "application/vnd.oci.empty.v1+json"), layout.blob(b"signed", "text/plain")
    signature = layout.put(
        "", MANIFEST, {"artifactType": "a/b", "config": config, "layers": [text], "subject": built.descriptor()}
    )
    hanging = layout.image(f"{built.digest.replace(':', '-')}.sig", "cosign", layers=1)
    done = api.promote(str(layout), "2.1.106", to=str(target))
    assert done.warnings == ()
    name = built.digest.replace(":", "-")
    listed = json.loads(target.registry.manifest(target.path, name))["manifests"]
    assert [(entry["digest"], entry["artifactType"]) for entry in listed] == [(signature.digest, "a/b")]
    assert target.registry.digest(target.path, f"{name}.sig") == hanging.digest
    assert target.holds_all_of(signature)


def test_images_of_two_layouts_are_joined(tmp_path: Path, target: Repository) -> None:
    sources = []
    for architecture in ("amd64", "arm64"):
        (tmp_path / architecture).mkdir()
        made = Layout(tmp_path / architecture)
        made.image("", architecture, platform=f"linux/{architecture}")
        sources.append(str(made))
    done = api.promote(sources, "2.1.106", to=str(target))
    joined = Pushed(INDEX, target.registry.manifest(target.path, "2.1.106"))
    assert (done.repositories[0].digest, target.holds_all_of(joined)) == (joined.digest, True)


@pytest.mark.containerd
def test_the_output_of_docker_save_is_promoted_with_all_platforms(
    containerd_engine: ContainerdEngine, target: Repository, tmp_path: Path, repository: str
) -> None:
    name = f"saved-{repository.rpartition('-')[2]}"
    made = containerd_engine.index(name, "saved")
    path = tmp_path / "saved.tar"
    containerd_engine.docker("image", "save", "--output", str(path), name)
    done = api.promote(f"oci:{path}", "2.1.106", to=str(target))
    held = Pushed(INDEX, target.registry.manifest(target.path, "2.1.106"))
    assert (done.repositories[0].digest, held.digest, target.holds_all_of(held)) == (made, made, True)


@pytest.mark.podman
def test_the_output_of_podman_save_is_promoted(
    podman: Podman, target: Repository, tmp_path: Path, repository: str
) -> None:
    name = f"localhost/saved-{repository.rpartition('-')[2]}:1"
    podman.image(name, "saved")
    path = tmp_path / "saved.tar"
    path.write_bytes(podman.save(name))
    done = api.promote(f"oci:{path}", "2.1.106", to=str(target))
    held = Pushed(MANIFEST, target.registry.manifest(target.path, "2.1.106"))
    assert (done.repositories[0].digest, target.holds_all_of(held)) == (held.digest, True)


# -- missing and broken layouts ----------------------------------------------------------------------------------------


def refused(source: str, target: Repository, code: int = 2) -> str:
    """Promote what cannot be, see that nothing is written, and return the error."""
    ran = tagger(None, "promote", source, "2.1.106", "--to", str(target))
    assert ran.code == code, ran.err
    assert target.tags() == []
    return ran.error


def test_a_layout_is_promoted_to_the_named_repository(layout: Layout) -> None:
    layout.image("", "gallery")
    ran = tagger(None, "promote", str(layout), "2.1.106")
    assert (ran.code, "choose with --to" in ran.error) == (2, True), ran.err


def test_missing_blobs_and_manifests_are_named(layout: Layout, target: Repository, tmp_path: Path) -> None:
    built = layout.index("", "gallery")
    child = json.loads(built.body)["manifests"][1]["digest"]
    layer = json.loads(layout.file(json.loads(built.body)["manifests"][0]["digest"]).read_text())["layers"][0]["digest"]
    for digest in (child, layer):
        layout.file(digest).unlink()
    for source in (str(layout), f"oci:{layout.tar(tmp_path / 'image.tar')}"):
        said = refused(source, target)
        assert (child in said, layer in said, "lacks" in said) == (True, True, True), said


@pytest.mark.parametrize("change", [b"x", b""], ids=["longer", "other"])
@pytest.mark.parametrize("what", ["layer", "manifest"])
def test_content_that_does_not_match_its_digest_is_not_promoted(
    layout: Layout, target: Repository, change: bytes, what: str
) -> None:
    built = layout.image("", "gallery")
    digest = json.loads(built.body)["layers"][1]["digest"] if what == "layer" else built.digest
    content = layout.file(digest).read_bytes()
    layout.file(digest).write_bytes(content + change if change else content[:-1] + b"!")
    # A wrong blob of the right length is noticed while it is sent.
    said = refused(str(layout), target, 1 if what == "layer" and not change else 2)
    assert f"content that does not match {digest}" in said


def test_a_foreign_layer_may_be_missing(layout: Layout, target: Repository) -> None:
    here = layout.blob(b"here", "application/vnd.oci.image.layer.v1.tar")
    there = {**layout.blob(b"there", "application/vnd.oci.image.layer.v1.tar"), "urls": ["https://127.0.0.1:1/x"]}
    config = layout.blob(b'{"os": "linux", "architecture": "amd64"}', "application/vnd.oci.image.config.v1+json")
    layout.put("", MANIFEST, {"config": config, "layers": [here, there]})
    layout.file(str(there["digest"])).unlink()
    ran = tagger(None, "promote", str(layout), "2.1.106", "--to", str(target))
    assert "lacks" not in ran.err, "whether the registry takes it without is the registry's own matter"


HOSTILE: dict[str, tuple[Callable[[tarfile.TarFile], None], str]] = {}


def hostile(says: str) -> Callable[[Callable[[tarfile.TarFile], None]], None]:
    """Register what adds something hostile to a tar, and what tagger says of it."""
    return lambda add: HOSTILE.update({add.__name__: (add, says)})


def file_of(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, BytesIO]:
    """A member of a tar."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, BytesIO(content)


@hostile("leads outside")
def a_name_with_two_dots(tar: tarfile.TarFile) -> None:
    tar.addfile(*file_of("blobs/sha256/../../../etc/passwd"))


@hostile("leads outside")
def an_absolute_name(tar: tarfile.TarFile) -> None:
    tar.addfile(*file_of("/etc/passwd"))


@hostile("is not a complete tar (a header is too long)")
def a_header_of_five_megabytes(tar: tarfile.TarFile) -> None:
    info, content = file_of("x", b"y" * 5_000_000)
    info.type = tarfile.XHDTYPE
    tar.addfile(info, content)
    tar.addfile(*file_of("z"))


@hostile("several OCI layouts")
def a_second_layout(tar: tarfile.TarFile) -> None:
    tar.addfile(*file_of("other/oci-layout", b'{"imageLayoutVersion": "1.0.0"}'))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tar_is_refused(layout: Layout, target: Repository, tmp_path: Path, name: str) -> None:
    layout.image("", "gallery")
    path = layout.tar(tmp_path / "image.tar")
    add, says = HOSTILE[name]
    with tarfile.open(path, "a", format=tarfile.USTAR_FORMAT) as tar:
        add(tar)
    assert says in refused(f"oci:{path}", target)


def test_a_link_in_a_tar_is_not_read_as_a_blob(layout: Layout, target: Repository, tmp_path: Path) -> None:
    built = layout.image("", "gallery")
    digest = json.loads(built.body)["layers"][0]["digest"]
    outside = tmp_path / "outside"
    outside.write_bytes(layout.file(digest).read_bytes())
    layout.file(digest).unlink()
    path = layout.tar(tmp_path / "image.tar")
    with tarfile.open(path, "a") as tar:
        info = tarfile.TarInfo(f"blobs/{digest.replace(':', '/')}")
        info.type, info.linkname = tarfile.SYMTYPE, str(outside)
        tar.addfile(info)
    assert f"lacks {digest}" in refused(f"oci:{path}", target)


def test_a_tar_that_is_cut_off_is_refused(layout: Layout, target: Repository, tmp_path: Path) -> None:
    layout.image("", "gallery", size=100_000)
    path = layout.tar(tmp_path / "image.tar")
    whole = path.read_bytes()
    for size in (len(whole) // 2, len(whole) // 3 * 2, 1000, 100):
        path.write_bytes(whole[:size])
        said = refused(f"oci:{path}", target)
        assert "ends in the middle of" in said or "is not a complete tar" in said or "is not an OCI layout" in said, (
            said
        )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x1f\x8b\x08\x00", "is compressed: uncompress it first, for example with gunzip"),
        (b"(\xb5/\xfd", "with unzstd"),
        (b"nothing of a tar", "is not a complete tar"),
        (b"", "is not a complete tar"),
    ],
)
def test_a_file_that_is_not_a_tar_is_named(tmp_path: Path, target: Repository, content: bytes, says: str) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(content)
    assert says in refused(f"oci:{path}", target)


def test_a_folder_that_is_not_a_layout_is_named(tmp_path: Path, layout: Layout, target: Repository) -> None:
    assert f"no file or folder '{tmp_path}/no'" in refused(f"oci:{tmp_path}/no", target)
    assert "give an OCI layout as oci:PATH" in refused("oci:", target)
    assert "is not an OCI layout" in refused(f"oci:{tmp_path}", target)
    (layout.folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    assert "has no image" in refused(str(layout), target)
    (layout.folder / "index.json").write_text('{"manifests": [' * 3000)
    assert "has no image" in refused(str(layout), target)
    (layout.folder / "index.json").write_bytes(b" " * 5_000_000)
    assert "index.json" in refused(str(layout), target)
    (layout.folder / "index.json").unlink()
    os.mkfifo(layout.folder / "index.json")
    assert "is not a file" in refused(str(layout), target)


# -- other artifacts than images ---------------------------------------------------------------------------------------


def test_a_chart_is_promoted_byte_for_byte_with_its_cascade(
    target: Repository, elsewhere: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    chart = target.chart("2.1.106-rc.1", "gallery", "2.1.106")
    there = Repository(elsewhere, f"{target.path}/charts")
    (tmp_path / "tagger.toml").write_text(f'[images.chart]\nrepository = "{there.path}"\nfloats = ["{{major}}"]\n')
    ran = tagger(None, "promote", f"{target}:2.1.106-rc.1", "2.1.106", "--to", str(there), "--strict")
    assert ran.code == 0, ran.err
    assert elsewhere.snapshot(there.path) == dict.fromkeys(("2.1.106", "2"), chart.digest)
    assert there.holds_all_of(chart)
    wrong = tagger(None, "promote", f"{target}:2.1.106-rc.1", "2.1.107", "--to", str(there), "--strict")
    assert (wrong.code, "has the label org.opencontainers.image.version=2.1.106" in wrong.error) == (3, True), wrong.err


def test_the_build_metadata_of_a_chart_is_dropped_on_request(target: Repository) -> None:
    chart = target.chart("2.1.106_build.5", "gallery", "2.1.106+build.5")  # as helm spells it
    source = f"{target}:2.1.106_build.5"
    assert tagger(None, "promote", source, "2.1.106+build.5").code == 3
    ran = tagger(None, "promote", source, "2.1.106+build.5", "--build-metadata", "drop", "--strict", "--json")
    assert (ran.code, "warnings" in ran.json) == (0, False), ran.err
    assert cascade_of(target) == dict.fromkeys(CASCADE, chart.digest)
    target.chart("2.1.107_build.6", "gallery", "2.1.107+build.6")
    ran = tagger(None, "promote", f"{target}:2.1.107_build.6", "2.1.107", "--json")
    assert (ran.code, "warnings" in ran.json) == (0, False), ran.err
    assert tagger(None, "check", str(target)).code == 0


def test_artifacts_of_any_kind_are_promoted(target: Repository, elsewhere: Registry) -> None:
    there = Repository(elsewhere, f"{target.path}/there")
    empty = target.blob(b"{}", "application/vnd.oci.empty.v1+json")
    file = target.blob(b"\0asm", "application/wasm")
    large = target.blob(b"m" * 9_000_000, "application/vnd.example.model")
    artifacts = [
        target.put("a", MANIFEST, {"artifactType": "application/wasm", "config": empty, "layers": [file]}),
        target.put("b", MANIFEST, {"config": large, "layers": []}),
        target.put("c", MANIFEST, {"artifactType": "a/b", "config": empty, "layers": [empty]}),
    ]
    listed = [each.descriptor() for each in artifacts]
    artifacts.append(target.put("d", INDEX, {"artifactType": "a/bundle", "manifests": listed}))
    for number, (tag, artifact) in enumerate(zip("abcd", artifacts, strict=True), 1):
        ran = tagger(None, "promote", f"{target}:{tag}", f"{number}.0.0", "--to", str(there))
        assert ran.code == 0, ran.err
        assert there.holds_all_of(artifact)
        assert elsewhere.digest(there.path, "latest") == artifact.digest
    assert tagger(None, "check", str(there)).code == 0
