"""Promotion between real registries: the same digest, all of it, and nothing moves if that fails."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import canary
import pytest
from command import start, tagger, wait
from doubles import Cut, ModelRegistry, Proxy, Request, Response, Rule, on, refusal
from pushed import INDEX, MANIFEST, OCI, Pushed, Repository, digest_of
from services import Registry

import tagger as api

CASCADE = ("2.1.106", "2.1", "2", "latest")

pytestmark = pytest.mark.engine


@pytest.fixture
def source(registry: Registry, repository: str) -> Repository:
    """An empty repository of the first registry."""
    return Repository(registry, repository)


@pytest.fixture
def target(elsewhere: Registry, repository: str) -> Repository:
    """An empty repository of the second registry."""
    return Repository(elsewhere, f"{repository}/golden")


def cascade_of(repository: Repository) -> dict[str, str]:
    """Return where the tags of the cascade point."""
    found = repository.registry.snapshot(repository.path)
    return {tag: digest for tag, digest in found.items() if tag in CASCADE}


# -- in one repository ---------------------------------------------------------------------------------------------


def test_an_image_of_a_registry_gets_its_cascade_without_an_engine(source: Repository) -> None:
    built = source.image("build-77", "gallery")
    ran = tagger(None, "promote", f"{source}:build-77", "2.1.106", "--json", DOCKER_HOST="unix:///nowhere")
    assert (ran.code, ran.json["outcome"], ran.json["image"]) == (0, "released", f"{source}:build-77"), ran.err
    assert cascade_of(source) == dict.fromkeys(CASCADE, built.digest)
    assert ran.json["repositories"][0]["digest"] == built.digest


def test_an_index_is_promoted_whole_and_by_its_digest(source: Repository) -> None:
    built = source.index("build-77", "gallery")
    newer = source.image("2.2.0", "newer")
    for tag in ("2.2", "2", "latest"):
        source.image(tag, "newer")
    ran = tagger(None, "promote", f"{source}@{built.digest}", "2.1.106")
    assert ran.code == 0, ran.err
    assert cascade_of(source) == {
        "2.1.106": built.digest, "2.1": built.digest, "2": newer.digest, "latest": newer.digest,
    }  # fmt: skip
    assert source.holds_all_of(built)


@pytest.mark.usefixtures("no_waiting")
def test_promoting_again_changes_nothing_and_another_image_is_refused(source: Repository) -> None:
    built, other = source.image("build-77", "gallery"), source.image("build-78", "other")
    assert api.promote(f"{source}:build-77", "2.1.106").outcome == "released"
    assert api.promote(f"{source}:build-77", "2.1.106").outcome == "unchanged"
    ran = tagger(None, "promote", f"{source}:build-78", "2.1.106")
    assert (ran.code, built.digest in ran.error) == (3, True), ran.err
    assert cascade_of(source) == dict.fromkeys(CASCADE, built.digest)
    assert api.promote(f"{source}:build-78", "2.1.106", force=True).outcome == "released"
    assert cascade_of(source) == dict.fromkeys(CASCADE, other.digest)


def test_a_dry_run_of_a_promotion_writes_nothing(source: Repository, target: Repository) -> None:
    source.image("build-77", "gallery")
    ran = tagger(None, "promote", f"{source}:build-77", "2.1.106", "--to", str(target), "--dry-run")
    assert (ran.code, "create latest" in ran.out) == (0, True), ran.err
    assert target.tags() == []


# -- from one to another -------------------------------------------------------------------------------------------


def test_an_index_is_copied_with_everything_it_lists(source: Repository, target: Repository) -> None:
    built = source.index("build-77", "gallery")
    ran = tagger(None, "promote", f"{source}:build-77", "2.1.106", "--to", str(target))
    assert ran.code == 0, ran.err
    assert cascade_of(target) == dict.fromkeys(CASCADE, built.digest)
    assert target.holds_all_of(built)
    assert sorted(source.tags()) == ["build-77"]


def test_several_targets_are_one_release(source: Repository, target: Repository, registry: Registry) -> None:
    built = source.image("build-77", "gallery")
    beside = Repository(registry, f"{source.path}/beside")
    done = api.promote(f"{source}:build-77", "2.1.106", to=[str(target), str(beside)])
    assert [str(part.digest) for part in done.repositories] == [built.digest] * 2
    assert cascade_of(target) == cascade_of(beside) == dict.fromkeys(CASCADE, built.digest)


def test_within_one_registry_blobs_are_mounted(source: Repository, registry: Registry) -> None:
    built = source.image("build-77", "gallery")
    beside = Repository(registry, f"{source.path}/beside")
    seen: list[str] = []
    api.promote(f"{source}:build-77", "2.1.106", to=str(beside), trace=seen.append)
    assert beside.holds_all_of(built)
    config = json.loads(built.body)["config"]["digest"]
    read_or_sent = [line for line in seen if line.startswith(("PUT", "GET")) and "/blobs/" in line]
    assert [line for line in read_or_sent if config not in line] == [], "its labels are looked at"


def test_existing_blobs_are_not_sent_again(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery", layers=3)
    content = json.loads(built.body)
    layer = content["layers"][1]
    status, _, held = source.registry.request("GET", f"/v2/{source.path}/blobs/{layer['digest']}")
    assert status == 200
    target.blob(held, layer["mediaType"])
    target.image("2.1.105", "before")
    said: list[str] = []
    api.promote(f"{source}:build-77", "2.1.106", to=str(target), progress=said.append)
    copied = {line.split()[1].rstrip(",") for line in said if line.startswith("copied sha256")}
    assert copied == {content["config"]["digest"], content["layers"][0]["digest"], content["layers"][2]["digest"]}


def test_a_repository_without_tags_is_asked_only_for_large_blobs(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery", layers=1, size=1024 * 1024)
    layer = json.loads(built.body)["layers"][0]["digest"]
    seen: list[str] = []
    api.promote(f"{source}:build-77", "2.1.106", to=str(target), trace=seen.append)
    asked = [line for line in seen if line.startswith("HEAD") and "/blobs/" in line]
    assert [layer in line for line in asked] == [True]
    assert target.holds_all_of(built)


def test_variants_are_promoted_together(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery")
    done = api.promote(
        f"{source}:build-77", "2.1.106", to=str(target), schemes=api.lines(api.Scheme(), ["default", "trixie"])
    )
    assert [part.variant for part in done.repositories] == ["default", "trixie"]
    assert target.registry.snapshot(target.path) == dict.fromkeys(
        [*CASCADE, "2.1.106-trixie", "2.1-trixie", "2-trixie", "trixie"], built.digest
    )


# -- signatures and attestations -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_waiting")
def test_referrers_of_an_image_are_copied_too(source: Repository, target: Repository) -> None:
    built = source.index("build-77", "gallery")
    child = json.loads(built.body)["manifests"][0]["digest"]
    signature = source.referrer(built, "signed")
    countersigned = source.referrer(signature, "signed again")
    inner = source.registry.manifest(source.path, child)
    sbom = source.referrer(type(built)("application/vnd.oci.image.manifest.v1+json", inner), "sbom")
    api.promote(f"{source}:build-77", "2.1.106", to=str(target))
    for pushed in (signature, countersigned, sbom):
        assert target.holds_all_of(pushed)
    for subject, referring in ((built.digest, signature), (signature.digest, countersigned), (child, sbom)):
        listed = json.loads(target.registry.manifest(target.path, subject.replace(":", "-")))["manifests"]
        assert [entry["digest"] for entry in listed] == [referring.digest]
        assert listed[0]["artifactType"] == "application/vnd.example.signature"
        assert listed[0]["annotations"] == json.loads(referring.body)["annotations"]


def test_an_existing_list_of_referrers_is_extended(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery")
    target.image("mine", "gallery")
    here = target.referrer(built, "approved here")
    there = source.referrer(built, "signed there")
    api.promote(f"{source}:build-77", "2.1.106", to=str(target))
    listed = json.loads(target.registry.manifest(target.path, built.digest.replace(":", "-")))["manifests"]
    assert {entry["digest"] for entry in listed} == {here.digest, there.digest}


def test_a_missing_referrer_does_not_stop_a_promotion(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery")
    gone, there = source.referrer(built, "gone"), source.referrer(built, "there")
    assert source.registry.request("DELETE", f"/v2/{source.path}/manifests/{gone.digest}")[0] == 202
    assert api.promote(f"{source}:build-77", "2.1.106", to=str(target)).outcome == "released"
    listed = json.loads(target.registry.manifest(target.path, built.digest.replace(":", "-")))["manifests"]
    assert [entry["digest"] for entry in listed] == [there.digest]


def test_a_registry_with_a_referrers_api_gets_no_list_under_a_tag(source: Repository, target: Repository) -> None:
    built = source.index("build-77", "gallery")
    signed = [source.referrer(built, text) for text in ("one", "two", "three")]
    with ModelRegistry(referrers=True, page_size=2) as modern:
        golden = f"{modern.host}/gallery/golden"
        api.promote(f"{source}:build-77", "2.1.106", to=golden)
        assert set(modern.repositories["gallery/golden"]) == set(CASCADE), "no tag stands in for the list"
        # And from such a registry to one without, where the fallback tag is used again.
        api.promote(f"{golden}:2.1.106", "2.1.106", to=str(target))
    listed = json.loads(target.registry.manifest(target.path, built.digest.replace(":", "-")))["manifests"]
    assert {entry["digest"] for entry in listed} == {pushed.digest for pushed in signed}
    assert all(map(target.holds_all_of, (built, *signed)))


def test_signatures_under_a_tag_are_copied_too(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery")
    signature = source.attached(built, "sig", "signature")
    sbom = source.attached(built, "sbom", "sbom")
    of_sbom = source.attached(sbom, "sig", "signature of the sbom")
    source.attached(source.image("build-78", "other"), "sig", "of another image")
    api.promote(f"{source}:build-77", "2.1.106", to=str(target))
    name = built.digest.replace(":", "-")
    held = target.registry.snapshot(target.path)
    assert held[f"{name}.sig"] == signature.digest
    assert held[f"{name}.sbom"] == sbom.digest
    assert held[f"{sbom.digest.replace(':', '-')}.sig"] == of_sbom.digest
    assert len(held) == len(CASCADE) + 3
    assert all(map(target.holds_all_of, (signature, sbom, of_sbom)))


def test_an_index_that_refers_to_an_image_is_copied_with_everything_it_lists(
    source: Repository, target: Repository
) -> None:
    built = source.image("build-77", "gallery")
    sboms = source.index(f"{built.digest.replace(':', '-')}.sbom", "sboms")
    assert api.promote(f"{source}:build-77", "2.1.106", to=str(target)).warnings == ()
    assert target.registry.digest(target.path, f"{built.digest.replace(':', '-')}.sbom") == sboms.digest
    assert target.holds_all_of(sboms)


def test_existing_signatures_in_the_target_are_kept_and_reported(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery")
    source.attached(built, "sig", "theirs")
    target.image("mine", "gallery")
    own = target.attached(built, "sig", "ours")
    ran = tagger(None, "promote", f"{source}:build-77", "2.1.106", "--to", str(target), "--json")
    name = f"{built.digest.replace(':', '-')}.sig"
    assert ran.code == 0, ran.err
    assert ran.json["warnings"] == [f"{target}:{name} holds other signatures or attestations, and is left alone"]
    assert target.registry.digest(target.path, name) == own.digest


def test_later_signatures_are_copied_by_the_next_promotion(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery")
    api.promote(f"{source}:build-77", "2.1.106", to=str(target))
    signature = source.attached(built, "sig", "late")
    assert api.promote(f"{source}:build-77", "2.1.106", to=str(target)).outcome == "unchanged"
    assert target.registry.digest(target.path, f"{built.digest.replace(':', '-')}.sig") == signature.digest


def test_an_interruption_while_late_signatures_are_copied_does_not_hide_that_the_version_is_released(
    source: Repository, target: Repository
) -> None:
    built = source.image("build-77", "gallery")
    api.promote(f"{source}:build-77", "2.1.106", to=str(target))
    source.attached(built, "sig", "late")
    begun, released = threading.Event(), threading.Event()

    def hold(_: Request) -> None:
        begun.set()
        released.wait(20)

    with Proxy(source.registry.host) as proxy:
        proxy.intercept(on("GET", r"\.sig$", hold))
        process = start(
            None, "promote", f"{proxy.host}/{source.path}:build-77", "2.1.106", "--to", str(target), "--json"
        )
        assert begun.wait(20)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        released.set()
        ran = wait(process)
    assert ran.code == 130, ran.err
    assert "2.1.106 is released, but signatures and attestations may be missing: run the same" in ran.error
    (place,) = ran.json["repositories"]
    assert (ran.json["outcome"], place["digest"], ran.json["error"]) == ("unchanged", built.digest, ran.error)


HTML = {"Content-Type": "text/html"}
ELSEWHERE = {"Location": "https://127.0.0.1:1/login"}


@pytest.mark.parametrize(
    "answer",
    [
        *(pytest.param(Response(status, b"<html>no</html>", HTML), id=str(status)) for status in (400, 401, 403, 405)),
        *(pytest.param(Response(status, b"", ELSEWHERE), id=f"{status} elsewhere") for status in (301, 302, 303, 307)),
        pytest.param(Response(302, b"", {"Location": "/v2/"}), id="to something else"),
        pytest.param(Response(302, b"", {"Location": "http://[bad"}), id="to nowhere"),
        pytest.param(Response(200, b"<html>Sign in</html>", HTML), id="a page"),
        pytest.param(Response(200, b"<html>Sign in</html>", {"Content-Type": INDEX}), id="a page named index"),
        pytest.param(Response(200, b"{}", {"Content-Type": INDEX}), id="no index"),
        pytest.param(Response(200, b'{"schemaVersion": 2}', {"Content-Type": "application/json"}), id="other JSON"),
        pytest.param(Response(501, b"not implemented", HTML), id="501"),
        pytest.param(Response(200, b"x" * 5_000_000, HTML), id="a long page"),
    ],
)
@pytest.mark.usefixtures("no_waiting")
def test_an_invalid_list_of_referrers_makes_tagger_use_the_tag_for_it(
    source: Repository, target: Repository, answer: Response
) -> None:
    built = source.image("build-77", "gallery")
    signature = source.referrer(built, "signed")
    with Proxy(source.registry.host) as here, Proxy(target.registry.host) as there:
        here.intercept(on("GET", "/referrers/", answer))
        there.intercept(on("GET", "/referrers/", answer))
        done = api.promote(f"{here.host}/{source.path}:build-77", "2.1.106", to=f"{there.host}/{target.path}")
        asked = [request.path for request in (*here.requests, *there.requests) if "/referrers/" in request.path]
    assert (done.outcome, done.warnings, bool(asked)) == ("released", (), True)
    assert listed_by_tag(target, built.digest) == {signature.digest}
    assert target.holds_all_of(signature)


def listed_by_tag(repository: Repository, subject: str) -> set[str]:
    """Return what the tag for referrers lists."""
    held = json.loads(repository.registry.manifest(repository.path, subject.replace(":", "-")))
    return {entry["digest"] for entry in held["manifests"]}


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", INDEX, f"{INDEX}; charset=utf-8", ""])
@pytest.mark.parametrize("empty", [False, True])
def test_a_list_of_referrers_may_have_any_media_type(
    source: Repository, target: Repository, media_type: str, *, empty: bool
) -> None:
    built = source.image("build-77", "gallery")
    signature = source.referrer(built, "signed")
    entries = None if empty else [signature.descriptor()]
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    with Proxy(source.registry.host) as proxy:
        proxy.intercept(on("GET", "/referrers/", Response(200, content, {"Content-Type": media_type})))
        proxy.intercept(on("GET", built.digest.replace(":", "-"), refusal(404, "MANIFEST_UNKNOWN", "unknown")))
        done = api.promote(f"{proxy.host}/{source.path}:build-77", "2.1.106", to=str(target))
    assert (done.outcome, done.warnings) == ("released", ())
    assert target.holds_all_of(signature) is not empty


def test_an_interrupted_list_of_referrers_gives_its_beginning_and_a_warning(
    source: Repository, target: Repository
) -> None:
    built = source.image("build-77", "gallery")
    signature = source.referrer(built, "signed")
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [signature.descriptor()]}).encode()
    with Proxy(source.registry.host) as proxy:
        link = {"Content-Type": INDEX, "Link": '<?last=1>; rel="next"'}
        proxy.intercept(on("GET", "/referrers/", Response(200, content, link), times=1))
        proxy.intercept(on("GET", built.digest.replace(":", "-"), refusal(404, "MANIFEST_UNKNOWN", "unknown")))
        done = api.promote(f"{proxy.host}/{source.path}:build-77", "2.1.106", to=str(target))
    assert (done.outcome, len(done.warnings)) == ("released", 1)
    assert done.warnings[0].startswith(f"tagger may not have copied all that refers to {built.digest}: ")
    assert target.holds_all_of(signature)


@pytest.mark.parametrize("of", ["image", "index"])
def test_a_tag_that_serves_the_image_itself_is_not_a_list_of_referrers(
    source: Repository, target: Repository, of: str
) -> None:
    built = source.image("build-77", "gallery") if of == "image" else source.index("build-77", "gallery")
    itself = Response(200, built.body, {"Content-Type": built.media_type, "Docker-Content-Digest": built.digest})
    with Proxy(source.registry.host) as here, Proxy(target.registry.host) as there:
        here.intercept(on("GET", built.digest.replace(":", "-"), itself))
        there.intercept(on("GET", built.digest.replace(":", "-"), itself))
        words = [f"{here.host}/{source.path}:build-77", "2.1.106", "--to", f"{there.host}/{target.path}", "--json"]
        ran = tagger(None, "promote", *words)
    assert (ran.code, "warnings" in ran.json) == (0, False), ran.err
    assert cascade_of(target) == dict.fromkeys(CASCADE, built.digest)


@pytest.mark.usefixtures("no_waiting")
def test_a_target_that_serves_the_image_itself_still_gets_its_referrers(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery")
    signature = source.referrer(built, "signed")
    with Proxy(target.registry.host) as proxy:
        itself = Response(200, built.body, {"Content-Type": built.media_type, "Docker-Content-Digest": built.digest})
        proxy.intercept(on("GET", built.digest.replace(":", "-"), itself))
        done = api.promote(f"{source}:build-77", "2.1.106", to=f"{proxy.host}/{target.path}")
        (warning,) = done.warnings
    assert f"does not list {signature.digest} as referring to {built.digest}" in warning
    assert target.holds_all_of(signature)


def test_an_index_of_images_under_the_tag_for_referrers_is_left_alone(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery")
    signature = source.referrer(built, "signed")
    other = target.index(built.digest.replace(":", "-"), "another image")
    done = api.promote(f"{source}:build-77", "2.1.106", to=str(target))
    assert done.outcome == "released"
    assert [f"does not list {signature.digest}" in line and "it alone" in line for line in done.warnings] == [True]
    assert target.registry.digest(target.path, built.digest.replace(":", "-")) == other.digest
    # And promoting from there: what such an index lists refers to nothing, and is not a signature of the image.
    beside = Repository(source.registry, f"{source.path}/beside")
    assert api.promote(f"{target}:2.1.106", "2.1.106", to=str(beside)).warnings == ()
    assert set(beside.tags()) == set(CASCADE)


def test_a_listed_referrer_of_another_image_is_not_copied_but_named(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery")
    signature = source.referrer(built, "signed")
    other = source.referrer(source.image("build-78", "other"), "of another image")
    entries = [signature.descriptor(), other.descriptor()]
    source.put(built.digest.replace(":", "-"), INDEX, {"manifests": entries})
    (warning,) = api.promote(f"{source}:build-77", "2.1.106", to=str(target)).warnings
    assert other.digest in warning
    assert listed_by_tag(target, built.digest) == {signature.digest}


@pytest.mark.parametrize("status", [403, 404, 412, 500])
@pytest.mark.parametrize("what", ["manifest", "blob"])
@pytest.mark.usefixtures("no_waiting")
def test_a_referrer_that_cannot_be_fetched_is_named_and_does_not_stop_a_promotion(
    source: Repository, target: Repository, what: str, status: int
) -> None:
    built = source.image("build-77", "gallery")
    there, lost = source.referrer(built, "there"), source.referrer(built, "lost")
    digest = lost.digest if what == "manifest" else json.loads(lost.body)["layers"][0]["digest"]
    with Proxy(source.registry.host) as proxy:
        proxy.intercept(on("GET", digest, Response(status, b"<html>no</html>", HTML)))
        done = api.promote(f"{proxy.host}/{source.path}:build-77", "2.1.106", to=str(target))
    assert (done.outcome, len(done.warnings)) == ("released", 1)
    assert done.warnings[0].startswith(f"{lost.digest}, which refers to {built.digest}, is not copied")
    assert "<" not in done.warnings[0]
    assert cascade_of(target) == dict.fromkeys(CASCADE, built.digest)
    assert listed_by_tag(target, built.digest) == {there.digest}


@pytest.mark.parametrize("status", [400, 403, 413, 500])
@pytest.mark.parametrize("what", ["manifest", "blob", "list"])
@pytest.mark.usefixtures("no_waiting")
def test_a_referrer_that_cannot_be_stored_is_named_and_does_not_stop_a_promotion(
    source: Repository, target: Repository, what: str, status: int
) -> None:
    built = source.image("build-77", "gallery")
    lost = source.referrer(built, "lost")
    layer = json.loads(lost.body)["layers"][0]["digest"]

    def refuse(request: Request) -> Response | None:
        where = {"manifest": lost.digest, "blob": layer, "list": f"manifests/{built.digest.replace(':', '-')}"}[what]
        named = request.path + "".join(request.query.get("digest", ()))
        refused = request.method == "PUT" and named.endswith(where)
        return Response(status, b"<html>no</html>", HTML) if refused else None

    with Proxy(target.registry.host) as proxy:
        proxy.intercept(refuse)
        done = api.promote(f"{source}:build-77", "2.1.106", to=f"{proxy.host}/{target.path}")
    assert (done.outcome, len(done.warnings)) == ("released", 1)
    assert (lost.digest in done.warnings[0], built.digest in done.warnings[0]) == (True, True)
    assert "<" not in done.warnings[0]
    assert cascade_of(target) == dict.fromkeys(CASCADE, built.digest)
    # Whatever the obstacle was, the next promotion of the same version copies it.
    assert api.promote(f"{source}:build-77", "2.1.106", to=str(target)).warnings == ()
    assert listed_by_tag(target, built.digest) == {lost.digest}
    assert target.holds_all_of(lost)


@pytest.mark.parametrize(
    ("failing", "side"),
    [
        (("GET", "/tags/list"), "source"),
        (("GET", r"\.sig$"), "source"),
        (("HEAD", r"\.sig$"), "target"),
        (("PUT", r"\.sig$"), "target"),
        (("GET", "/referrers/"), "source"),
        (("GET", "sha256-[0-9a-f]{64}$"), "source"),
    ],
)
@pytest.mark.usefixtures("no_waiting")
def test_a_problem_with_signatures_is_a_warning_and_not_a_failure(
    source: Repository, target: Repository, failing: tuple[str, str], side: str
) -> None:
    built = source.image("build-77", "gallery")
    source.attached(built, "sig", "signature")
    with Proxy(source.registry.host) as here, Proxy(target.registry.host) as there:
        (here if side == "source" else there).intercept(on(*failing, Response(500, b"<html>no</html>", HTML)))
        done = api.promote(f"{here.host}/{source.path}:build-77", "2.1.106", to=f"{there.host}/{target.path}")
    assert (done.outcome, len(done.warnings)) == ("released", 1)
    assert cascade_of(target) == dict.fromkeys(CASCADE, built.digest)


@pytest.mark.usefixtures("no_waiting")
def test_entries_of_a_list_of_referrers_are_copied_and_a_second_promotion_adds_more(
    source: Repository, target: Repository
) -> None:
    built = source.image("build-77", "gallery")
    first = source.referrer(built, "first")
    said = {"artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json", "annotations": {"dev.sigstore": "v3"}}
    tag = built.digest.replace(":", "-")
    source.put(tag, INDEX, {"manifests": [first.descriptor(**said)], "annotations": {"kept": "here"}})
    api.promote(f"{source}:build-77", "2.1.106", to=str(target))
    assert json.loads(target.registry.manifest(target.path, tag))["manifests"] == [first.descriptor(**said)]
    second = source.referrer(built, "second")
    assert api.promote(f"{source}:build-77", "2.1.106", to=str(target)).outcome == "unchanged"
    entries = json.loads(target.registry.manifest(target.path, tag))["manifests"]
    assert entries[0] == first.descriptor(**said)
    assert [entry["digest"] for entry in entries] == [first.digest, second.digest]
    assert entries[1]["artifactType"] == "application/vnd.example.signature"
    assert entries[1]["annotations"] == {"of": "second"}


def test_a_broken_entry_in_a_list_of_referrers_hides_no_other_one_and_stays_in_the_target(
    source: Repository, target: Repository
) -> None:
    built = source.image("build-77", "gallery")
    signature = source.referrer(built, "signed")
    tag = built.digest.replace(":", "-")
    broken = {"mediaType": MANIFEST, "digest": "sha256:12", "size": 7}
    lists = {
        proxy: json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [broken, *entries]}).encode()
        for proxy, entries in (("source", [signature.descriptor()]), ("target", []))
    }
    written: list[bytes] = []

    def keep(request: Request) -> Response:
        written.append(request.body)
        return Response(201)

    with Proxy(source.registry.host) as here, Proxy(target.registry.host) as there:
        here.intercept(on("GET", tag, Response(200, lists["source"], {"Content-Type": INDEX})))
        there.intercept(on("PUT", tag, keep))
        there.intercept(
            on(
                "GET",
                tag,
                lambda _: Response(200, written[-1] if written else lists["target"], {"Content-Type": INDEX}),
            )
        )
        done = api.promote(f"{here.host}/{source.path}:build-77", "2.1.106", to=f"{there.host}/{target.path}")
    assert done.warnings == ()
    assert [entry["digest"] for entry in json.loads(written[-1])["manifests"]] == ["sha256:12", signature.digest]
    assert target.holds_all_of(signature)


@pytest.mark.parametrize("rivals", [1, 2])
@pytest.mark.usefixtures("no_waiting")
def test_an_entry_that_another_promotion_overwrites_is_written_again(
    source: Repository, target: Repository, rivals: int
) -> None:
    built = source.image("build-77", "gallery")
    ours = source.referrer(built, "ours")
    target.image("mine", "gallery")
    theirs = [target.referrer(built, f"theirs {number}") for number in range(rivals)]
    tag = built.digest.replace(":", "-")
    left = list(theirs)
    with Proxy(target.registry.host) as proxy:

        def overwrite(request: Request) -> Response | None:
            """Write our list, and right after it that of a rival who read before we wrote."""
            if not left:
                return None
            answer = proxy.answer(request)
            target.put(tag, INDEX, {"manifests": [left.pop().descriptor()]})
            return answer

        proxy.intercept(on("PUT", f"{tag}$", overwrite))
        done = api.promote(f"{source}:build-77", "2.1.106", to=f"{proxy.host}/{target.path}")
    assert (done.outcome, done.warnings, left) == ("released", (), [])
    assert {ours.digest, theirs[0].digest} <= listed_by_tag(target, built.digest)


@pytest.mark.usefixtures("no_waiting")
def test_a_list_that_never_keeps_an_entry_ends_with_a_warning(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery")
    lost = source.referrer(built, "lost")
    with Proxy(target.registry.host) as proxy:
        proxy.intercept(on("PUT", f"{built.digest.replace(':', '-')}$", Response(201)))
        done = api.promote(f"{source}:build-77", "2.1.106", to=f"{proxy.host}/{target.path}")
        writes = [r for r in proxy.requests if r.method == "PUT" and r.path.endswith(built.digest.replace(":", "-"))]
    assert (done.outcome, len(writes)) == ("released", 5)
    assert [lost.digest in line and "promote the image again" in line for line in done.warnings] == [True]


def test_a_target_with_another_image_for_the_version_is_refused_before_anything_is_sent(
    source: Repository, target: Repository
) -> None:
    source.image("build-77", "gallery")
    other = target.image("2.1.106", "other")
    with Proxy(target.registry.host) as proxy:
        ran = tagger(None, "promote", f"{source}:build-77", "2.1.106", "--to", f"{proxy.host}/{target.path}")
        assert (ran.code, other.digest in ran.error) == (3, True), ran.err
        assert {request.method for request in proxy.requests} <= {"GET", "HEAD"}
    assert target.registry.snapshot(target.path) == {"2.1.106": other.digest}


# -- platforms -----------------------------------------------------------------------------------------------------


def test_images_of_single_platforms_are_joined_into_the_same_index_in_any_order(
    source: Repository, target: Repository
) -> None:
    amd = source.image("build-77-amd64", "gallery amd", platform="linux/amd64")
    arm = Repository(source.registry, f"{source.path}/arm").image(None, "gallery arm", platform="linux/arm64/v8")
    parts = [f"{source}@{amd.digest}", f"{source}/arm@{arm.digest}"]
    first = tagger(
        None,
        "promote",
        parts[0],
        "2.1.106",
        *(w for p in parts[1:] for w in ("--platform-image", p)),
        "--to",
        str(target),
        "--json",
    )
    assert first.code == 0, first.err
    digest = first.json["repositories"][0]["digest"]
    beside = f"{source}/beside"
    assert str(api.promote(parts[::-1], "2.1.106", to=beside).repositories[0].digest) == digest
    assert cascade_of(target) == dict.fromkeys(CASCADE, digest)
    listed = json.loads(target.registry.manifest(target.path, digest))["manifests"]
    assert [entry["platform"] for entry in listed] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux", "variant": "v8"},
    ]
    assert target.holds_all_of(amd)
    assert target.holds_all_of(arm)


def test_indexes_of_single_platforms_are_joined_with_their_attestations(source: Repository) -> None:
    for architecture in ("amd64", "arm64"):
        source.index(f"build-77-{architecture}", architecture, [f"linux/{architecture}"])
    done = api.promote([f"{source}:build-77-amd64", f"{source}:build-77-arm64"], "2.1.106")
    listed = json.loads(source.registry.manifest(source.path, str(done.repositories[0].digest)))["manifests"]
    assert [entry["platform"]["architecture"] for entry in listed] == ["amd64", "arm64", "unknown", "unknown"]


# -- what cannot be promoted ---------------------------------------------------------------------------------------


def test_two_images_of_one_platform_are_not_joined(source: Repository) -> None:
    source.image("a", "gallery a")
    source.image("b", "gallery b")
    ran = tagger(None, "promote", f"{source}:a", "2.1.106", "--platform-image", f"{source}:b")
    assert (ran.code, "both for linux/amd64" in ran.error) == (2, True), ran.err
    assert cascade_of(source) == {}


def test_an_image_without_a_platform_is_not_joined(source: Repository) -> None:
    source.image("a", "gallery a", platform=None)
    with pytest.raises(api.InputError, match="does not say which platform"):
        api.promote([f"{source}:a"], "2.1.106")


def test_an_index_without_a_platform_is_not_promoted(source: Repository) -> None:
    source.put("empty", INDEX, {"manifests": []})
    source.index("attestations", "gallery", [])
    for tag in ("empty", "attestations"):
        ran = tagger(None, "promote", f"{source}:{tag}", "2.1.106")
        assert (ran.code, "without an image for any platform" in ran.error) == (2, True), ran.err
    assert cascade_of(source) == {}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["HOST/gallery:absent", "1.0.0"], 2, "there is no"),
        (["HOST/gallery", "1.0.0"], 2, "add :TAG or @DIGEST to choose an image"),
        (["HOST/gallery:a", "1.0"], 2, "not a semantic version"),
        (["HOST/gallery:a", "1.0.0", "--to", "docker.io/library/redis"], 3, "with --to, such as USER/redis"),
        (["HOST/gallery:a", "1.0.0", "--to", "HOST/gallery:b"], 2, "give the repository alone"),
        (["HOST/a:1", "1.0.0", "--platform-image", "HOST/b:1"], 2, "choose with --to"),
        (["sha256:" + "a" * 64, "1.0.0"], 2, "give REGISTRY/REPOSITORY@DIGEST"),
        (["127.0.0.1:9/gallery:a", "1.0.0"], 2, "no registry answers"),
    ],
)
def test_a_source_that_cannot_be_promoted_gives_one_sentence(
    registry: Registry, words: list[str], code: int, says: str
) -> None:
    ran = tagger(None, "promote", *(word.replace("HOST", registry.host) for word in words), "--json")
    assert (ran.code, says in ran.error) == (code, True), ran.err
    assert ran.json["outcome"] == ("refused" if code == 3 else "failed")


# -- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_waiting")
def test_a_source_that_vanishes_during_the_copy_moves_nothing(source: Repository, target: Repository) -> None:
    source.image("build-77", "gallery", layers=6)
    target.image("1.0.0", "before")
    with Proxy(source.registry.host) as proxy:
        layers = 0

        def vanish(request: Request) -> Response | None:
            nonlocal layers
            if request.method == "GET" and "/blobs/" in request.path:
                layers += 1
                if layers > 3:
                    return Response(drop=True)
            return None

        proxy.intercept(vanish)
        with pytest.raises(api.TaggerError, match="no tag moved in the registry") as caught:
            api.promote(f"{proxy.host}/{source.path}:build-77", "2.1.106", to=str(target))
    assert caught.value.exit_code == 1
    assert target.tags() == ["1.0.0"]
    assert api.promote(f"{source}:build-77", "2.1.106", to=str(target)).outcome == "released"


@pytest.mark.usefixtures("no_waiting")
def test_an_interrupted_blob_is_read_again(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery", layers=1, size=300_000)
    layer = json.loads(built.body)["layers"][0]
    with Proxy(source.registry.host) as proxy:

        def half() -> Iterator[bytes]:
            yield b"gallery"
            raise Cut

        proxy.intercept(on("GET", re.escape(layer["digest"]), lambda _: Response(200, half()), times=1))
        said: list[str] = []
        done = api.promote(f"{proxy.host}/{source.path}:build-77", "2.1.106", to=str(target), progress=said.append)
    assert done.outcome == "released"
    assert [line for line in said if line.startswith(f"sending {layer['digest']} again in 1 s, because 127.0.0.1:")]
    assert target.holds_all_of(built)


@pytest.mark.usefixtures("no_waiting")
def test_an_interrupted_upload_is_repeated(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery", layers=4, size=300_000)
    with Proxy(target.registry.host) as proxy:
        broken = [0]

        def cut_off(request: Request) -> Response | None:
            if request.method == "PUT" and "/blobs/uploads/" in request.path and not broken[0]:
                broken[0] += 1
                return Response(drop=True)
            return None

        proxy.intercept(cut_off)
        done = api.promote(f"{source}:build-77", "2.1.106", to=f"{proxy.host}/{target.path}")
    assert (done.outcome, broken) == ("released", [1])
    assert target.holds_all_of(built)


def second_time(reply: Response) -> Rule:
    """Reply to the second request: the first asks only for the labels, or for the right to push."""
    seen = count()
    return lambda _: reply if next(seen) == 1 else None


BUSY = refusal(429, "TOOMANYREQUESTS", "slow down", Retry_After="17")


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("busy", [("GET", "/blobs/sha256"), ("POST", "/blobs/uploads/"), ("PUT", "/blobs/uploads/")])
def test_a_blob_is_requested_again_after_the_pause_that_a_busy_registry_asks_for(
    source: Repository, target: Repository, busy: tuple[str, str]
) -> None:
    built = source.image("build-77", "gallery", layers=1)
    said: list[str] = []
    with Proxy(source.registry.host) as near, Proxy(target.registry.host) as far:
        for proxy in (near, far):
            proxy.intercept(on(*busy, second_time(BUSY)))
        to = f"{far.host}/{target.path}"
        done = api.promote(f"{near.host}/{source.path}:build-77", "2.1.106", to=to, progress=said.append)
    assert done.outcome == "released"
    assert [line for line in said if " again in 17 s, because " in line], said
    assert target.holds_all_of(built)


def test_the_size_limit_of_a_proxy_is_one_sentence_without_its_page(source: Repository, target: Repository) -> None:
    source.image("build-77", "gallery")
    page = b"<html><head><title>413 Request Entity Too Large</title></head><body>nginx</body></html>"
    with Proxy(target.registry.host) as proxy:
        proxy.intercept(on("PUT", r"/blobs/uploads/", Response(413, page, HTML)))
        ran = tagger(None, "promote", f"{source}:build-77", "2.1.106", "--to", f"{proxy.host}/{target.path}")
    assert ran.code == 1, ran.err
    assert "HTTP 413): that is too large for the registry or a proxy in front of it" in ran.error
    assert ("<" in ran.err, "nginx" in ran.err) == (False, False)
    assert target.tags() == []


@pytest.mark.parametrize("status", [202, 307, 400, 401, 403, 404, 405, 416, 500, 502, 503])
def test_a_refused_mount_is_followed_by_an_upload(source: Repository, registry: Registry, status: int) -> None:
    built = source.image("build-77", "gallery")
    beside = f"{source.path}/beside"
    with Proxy(registry.host) as proxy:

        def refuse(request: Request) -> Response | None:
            where = {"Location": "http://[bad" if status == 202 else "https://127.0.0.1:1/login"}
            return Response(status, b"<html>no</html>", HTML | where) if "mount" in request.query else None

        proxy.intercept(refuse)
        done = api.promote(f"{proxy.host}/{source.path}:build-77", "2.1.106", to=f"{proxy.host}/{beside}")
        assert [request for request in proxy.requests if "mount" in request.query]
    assert (done.outcome, done.warnings) == ("released", ())
    assert Repository(registry, beside).holds_all_of(built)


def windows_image(repository: Repository, media_type: str, *, kept: bool, urls: bool) -> tuple[str, str]:
    """Push an image whose base layer is foreign, and return its digest and that of the layer."""
    content = b"the base of Windows"
    layer: dict[str, object] = {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}
    if kept:
        layer = repository.blob(content, media_type)
    if urls:
        layer["urls"] = ["https://127.0.0.1:1/base"]
    config = repository.blob(b'{"os": "windows", "architecture": "amd64"}', f"{OCI}.config.v1+json")
    own = repository.blob(b"the application", f"{OCI}.layer.v1.tar")
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer, own]}
    return json.dumps(body), digest_of(content)


FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


@pytest.mark.parametrize(
    ("media_type", "urls"),
    [
        (FOREIGN, True),
        (FOREIGN, False),
        (f"{OCI}.layer.nondistributable.v1.tar+gzip", False),
        (f"{OCI}.layer.v1.tar", True),
    ],
)
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("takes", [True, False])
def test_a_foreign_layer_is_copied_if_the_source_has_it_and_otherwise_left_to_the_target(
    source: Repository, media_type: str, *, urls: bool, kept: bool, takes: bool
) -> None:
    body, layer = windows_image(source, media_type, kept=kept, urls=urls)
    digest = digest_of(body.encode())
    answer = Response(200, body.encode(), {"Content-Type": MANIFEST, "Docker-Content-Digest": digest})
    with Proxy(source.registry.host) as proxy, ModelRegistry() as golden:
        proxy.intercept(on("GET", "/manifests/build-77$", answer))

        def check(_: Request) -> Response | None:
            there = ("gallery", layer) in golden.blobs
            return None if takes or there else refusal(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")

        golden.intercept(on("PUT", "/manifests/", check))
        promoted = (f"{proxy.host}/{source.path}:build-77", "2.1.106")
        if kept or takes:
            assert api.promote(*promoted, to=f"{golden.host}/gallery").outcome == "released"
            assert golden.repositories["gallery"] == dict.fromkeys(CASCADE, digest)
        else:
            with pytest.raises(api.TaggerError, match=f"foreign layers, and {layer} cannot be copied") as caught:
                api.promote(*promoted, to=f"{golden.host}/gallery")
            assert (caught.value.exit_code, golden.repositories.get("gallery", {})) == (1, {})
        assert (("gallery", layer) in golden.blobs) is kept


def test_a_registry_that_refuses_an_upload_fails_the_promotion(source: Repository, target: Repository) -> None:
    source.image("build-77", "gallery")
    with Proxy(target.registry.host) as proxy:
        proxy.intercept(on("PUT", r"/blobs/uploads/", refusal(413, "SIZE_INVALID", "too large for this registry")))
        ran = tagger(None, "promote", f"{source}:build-77", "2.1.106", "--to", f"{proxy.host}/{target.path}")
    assert (ran.code, "too large for this registry" in ran.error) == (1, True), ran.err
    assert target.tags() == []


def test_a_blob_that_the_source_lacks_is_named_with_what_to_do(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery")
    content = json.loads(built.body)
    for blob in (content["config"]["digest"], content["layers"][0]["digest"]):
        with Proxy(source.registry.host) as proxy:
            proxy.intercept(on("GET", re.escape(blob), refusal(404, "BLOB_UNKNOWN", "blob unknown")))
            ran = tagger(None, "promote", f"{proxy.host}/{source.path}:build-77", "2.1.106", "--to", str(target))
            says = f"{proxy.host}/{source.path} lacks {blob}: push the image again"
            assert (ran.code, says in ran.error) == (1, True), ran.err
    assert target.tags() == []


def test_content_that_does_not_match_its_digest_is_not_sent(source: Repository, target: Repository) -> None:
    built = source.image("build-77", "gallery")
    layer = json.loads(built.body)["layers"][0]
    with Proxy(source.registry.host) as proxy:
        proxy.intercept(on("GET", re.escape(layer["digest"]), Response(200, b"x" * layer["size"])))
        with pytest.raises(api.TaggerError, match="serves content that does not match"):
            api.promote(f"{proxy.host}/{source.path}:build-77", "2.1.106", to=str(target))
    assert target.tags() == []


def test_a_floating_tag_that_cannot_be_written_puts_every_registry_back(
    source: Repository, target: Repository, registry: Registry
) -> None:
    before = target.image("2.1.105", "before")
    beside = Repository(registry, f"{source.path}/beside")
    beside.image("2.1.105", "before")
    for repository in (target, beside):
        assert api.repair(str(repository)).repaired
    source.image("build-77", "gallery")
    with Proxy(target.registry.host) as proxy:
        proxy.intercept(on("PUT", r"/manifests/2\.1$", refusal(403, "DENIED", "immutable")))
        to = ["--to", f"{proxy.host}/{target.path}", "--to", str(beside)]
        ran = tagger(None, "promote", f"{source}:build-77", "2.1.106", *to)
    assert ran.code == 1, ran.err
    for repository in (target, beside):
        held = cascade_of(repository)
        assert {held[tag] for tag in ("2.1", "2", "latest")} == {before.digest}


@pytest.mark.parametrize(("how", "code"), [("signal", 130), ("timeout", 1)])
def test_a_promotion_that_is_interrupted_during_the_copy_moves_nothing(
    source: Repository, target: Repository, how: str, code: int
) -> None:
    built = source.image("build-77", "gallery", layers=1, size=300_000)
    target.image("1.0.0", "before")
    layer = json.loads(built.body)["layers"][0]
    begun = threading.Event()
    with Proxy(source.registry.host) as proxy:

        def drip() -> Iterator[bytes]:
            begun.set()
            for _ in range(100):
                time.sleep(0.1)
                yield b"x"
            raise Cut

        proxy.intercept(on("GET", re.escape(layer["digest"]), lambda _: Response(200, drip())))
        words = ["promote", f"{proxy.host}/{source.path}:build-77", "2.1.106", "--to", str(target)]
        process = start(None, *words, *(["--timeout", "2"] if how == "timeout" else []))
        assert begun.wait(20)
        if how == "signal":
            process.send_signal(signal.SIGINT)
        ran = wait(process)
    assert (ran.code, "no tag moved" in ran.error or "where they were" in ran.error) == (code, True), ran.err
    assert target.tags() == ["1.0.0"]


def test_a_blob_is_not_fetched_from_an_untrusted_host(
    guarded_registry: Registry, target: Repository, tmp_path: Path
) -> None:
    built = Repository(guarded_registry, target.path).image("build-77", "gallery", layers=1)
    layer = json.loads(built.body)["layers"][0]
    with Proxy(guarded_registry.host) as proxy, Proxy(guarded_registry.host) as storage:
        kept = guarded_registry.request("GET", f"/v2/{target.path}/blobs/{layer['digest']}")[2]
        storage.intercept(on("GET", "/kept$", Response(200, kept)))
        where = {"Location": f"http://{storage.host}/kept?signature=1"}
        proxy.intercept(on("GET", re.escape(layer["digest"]), Response(307, b"", where)))
        words = ["promote", f"{proxy.host}/{target.path}:build-77", "2.1.106", "--to", str(target)]
        ran = tagger(None, *words, **canary.docker_config(tmp_path, proxy.host))
        # Storage has another origin, over plain HTTP: tagger does not follow it, whatever it holds.
        assert (ran.code, "does not follow" in ran.error, storage.requests) == (1, True, []), ran.err
    assert target.tags() == []


def test_a_large_blob_is_copied_in_pieces(source: Repository, target: Repository, tmp_path: Path) -> None:
    built = source.image("build-77", "gallery", layers=1, size=40 * 1024 * 1024)
    script = tmp_path / "promote.py"
    script.write_text(
        "import re, tagger\n"
        f"tagger.promote('{source}:build-77', '2.1.106', to='{target}')\n"
        "print(re.search(r'VmHWM:\\s+([0-9]+) kB', open('/proc/self/status').read())[1])\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, check=True)
    assert target.holds_all_of(built)
    assert int(done.stdout) < 60 * 1024, "kilobytes"


# -- base layers -----------------------------------------------------------------------------------------------------


def on_base(repository: Repository, tag: str | None, text: str, base: bytes = b"base".ljust(2_000_000, b".")) -> Pushed:
    """Push an image whose first layer is that of others too."""
    config = json.dumps({"os": "linux", "architecture": "amd64", "made_of": text}).encode()
    layers = [repository.blob(content, f"{OCI}.layer.v1.tar") for content in (base, text.encode())]
    return repository.put(tag, MANIFEST, {"config": repository.blob(config, f"{OCI}.config.v1+json"), "layers": layers})


def layer_of(pushed: Pushed) -> str:
    """The digest of the first layer."""
    return str(json.loads(pushed.body)["layers"][0]["digest"])


@pytest.mark.parametrize("platforms", [False, True], ids=["an image", "an index"])
def test_base_layers_are_mounted_from_the_repositories_of_the_settings(
    source: Repository, target: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platforms: bool
) -> None:
    built = on_base(source, "build-77", "gallery")
    beside = Repository(target.registry, f"{target.path}/beside")
    image = on_base(beside, None if platforms else "latest", "beside")
    if platforms:
        entry = image.descriptor(platform={"os": "linux", "architecture": "amd64"})
        beside.put("latest", INDEX, {"manifests": [entry]})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tagger.toml").write_text(
        f'registries = ["{target.registry.host}"]\n[images.beside]\nrepository = "{beside.path}"\n'
    )
    ran = tagger(None, "promote", f"{source}:build-77", "2.1.106", "--to", str(target))
    assert ran.code == 0, ran.err
    assert f"mounted {layer_of(built)[:19]}" in ran.err or f"mounted {layer_of(built)}" in ran.err, ran.err
    assert cascade_of(target) == dict.fromkeys(CASCADE, built.digest)
    assert target.holds_all_of(built)


def test_base_layers_of_images_that_are_promoted_together_are_sent_once(source: Repository, target: Repository) -> None:
    built = {name: on_base(source, name, name) for name in ("api", "web", "worker")}
    wanted = [api.Promotion(f"{source}:{name}", [f"{target}/{name}"]) for name in built]
    said: list[str] = []
    api.promote_all(wanted, "2.1.106", progress=said.append)
    base = layer_of(built["api"])
    assert [line.split()[0] for line in said if base in line] == ["copied", "mounted", "mounted"]
    for name, pushed in built.items():
        assert Repository(target.registry, f"{target.path}/{name}").holds_all_of(pushed)


@pytest.mark.parametrize("answer", [Response(202), Response(404), refusal(403, "DENIED", "no"), Response(500)])
@pytest.mark.usefixtures("hurried")
def test_an_unusable_base_repository_does_not_stop_a_promotion(
    source: Repository, target: Repository, answer: Response
) -> None:
    built = on_base(source, "build-77", "gallery")
    beside = Repository(target.registry, f"{target.path}/beside")
    on_base(beside, "latest", "beside")
    with Proxy(target.registry.host) as proxy:
        proxy.intercept(on("POST" if answer.status == 202 else "GET", "mount=|/beside/manifests/", answer))
        done = api.promote(
            f"{source}:build-77",
            "2.1.106",
            to=f"{proxy.host}/{target.path}",
            layers_from=[f"{proxy.host}/{beside.path}", f"{proxy.host}/no/such/one"],
        )
    assert (done.outcome, target.holds_all_of(built)) == ("released", True)
