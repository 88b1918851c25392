"""Required evidence, with a real registry: present or missing, and never verified."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command import Ran, tagger
from doubles import ModelRegistry, Proxy, on, refusal
from pushed import EMPTY, INDEX, MANIFEST, Pushed, Repository, digest_of
from services import Registry
from test_gates import PYTHON

from tagger.credentials.docker import DockerConfig
from tagger.names import Digest
from tagger.names import Repository as Name
from tagger.registry.evidence import MOST_REFERRERS, evidence
from tagger.wiring.access import Registries
from tagger.work import Deadline

pytestmark = pytest.mark.engine

CASCADE = {"2.1.106", "2.1", "2", "latest"}
IN_TOTO = "application/vnd.in-toto+json"
SLSA, SPDX = "https://slsa.dev/provenance/v1", "https://spdx.dev/Document"

_SIGN = """
import base64, http.client, json, os, subprocess, sys
from hashlib import sha256
host, _, path = os.environ["TAGGER_REPOSITORY"].partition("/")
digest = os.environ["TAGGER_DIGEST"]
def asked(method, url, body=b"", kind="application/octet-stream"):
    registry = http.client.HTTPConnection(host)
    registry.request(method, url, body, {"Content-Type": kind})
    answer = registry.getresponse()
    assert answer.status in (201, 202), answer.read()
    return answer.headers.get("location", "")
def blob(content, kind):
    place = asked("POST", f"/v2/{path}/blobs/uploads/")
    place = place[place.index("/v2/"):]
    named = "sha256:" + sha256(content).hexdigest()
    asked("PUT", f"{place}{'&' if '?' in place else '?'}digest={named}", content)
    return {"mediaType": kind, "digest": named, "size": len(content)}
payload = json.dumps({"critical": {"image": {"docker-manifest-digest": digest}}}).encode()
with open("payload", "wb") as file: file.write(payload)
subprocess.run("openssl pkeyutl -sign -rawin -inkey key.pem -in payload -out signature".split(), check=True)
with open("signature", "rb") as file: signature = base64.b64encode(file.read()).decode()
layer = blob(payload, "application/vnd.dev.cosign.simplesigning.v1+json")
layer["annotations"] = {"dev.cosignproject.cosign/signature": signature}
kind = "application/vnd.oci.image.manifest.v1+json"
config = blob(b"{}", "application/vnd.oci.image.config.v1+json")
manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}
asked("PUT", f"/v2/{path}/manifests/{digest.replace(':', '-')}.sig", json.dumps(manifest).encode(), kind)
"""


def statement(of: str, predicate_type: str, predicate: object = None) -> bytes:
    """Make an in-toto statement."""
    subject = [{"name": "ui", "digest": dict([of.split(":")])}]
    return json.dumps({"subject": subject, "predicateType": predicate_type, "predicate": predicate}).encode()


def attestation(repository: Repository, *statements: bytes, tag: str | None = None, **more: Any) -> Pushed:
    """Push a manifest that holds statements."""
    layers = [repository.blob(each, IN_TOTO) for each in statements]
    return repository.put(tag, MANIFEST, {"config": repository.blob(b"{}", EMPTY), "layers": layers, **more})


def referring(repository: Repository, subject: Pushed, *statements: bytes) -> Pushed:
    """Push a referrer that holds statements, and list it in the fallback tag."""
    pushed = attestation(repository, *statements, artifactType=IN_TOTO, subject=subject.descriptor())
    repository.put(subject.digest.replace(":", "-"), INDEX, {"manifests": [pushed.descriptor()]})
    return pushed


def built(repository: Repository, attested: Mapping[str, bytes]) -> Pushed:
    """Push an index as buildx does: each platform with its attestation."""
    children = []
    for name in ("linux/amd64", "linux/arm64"):
        image = repository.image(None, name, platform=name)
        system, architecture = name.split("/")
        children.append(image.descriptor(platform={"os": system, "architecture": architecture}))
        if name in attested:
            predicate = attested[name].decode()
            held = attestation(repository, statement(image.digest, predicate))
            told = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.digest}
            unknown = {"os": "unknown", "architecture": "unknown"}
            children.append(held.descriptor(platform=unknown, annotations=told))
    return repository.put("build-77", INDEX, {"manifests": children})


def promoted(repository: Repository | str, *options: str) -> Ran:
    """Promote the image that was built."""
    return tagger(None, "promote", f"{repository}:build-77", "2.1.106", "--json", *options)


@pytest.fixture
def ui(registry: Registry, repository: str) -> Repository:
    """An empty repository."""
    return Repository(registry, repository)


def is_released(repository: Repository) -> bool:
    """Whether the tags have moved: all of them, or none."""
    moved = CASCADE & {*repository.tags()}
    assert moved in (set(), CASCADE)
    return bool(moved)


# -- where it may be -----------------------------------------------------------------------------------------------


def test_missing_required_evidence_moves_no_tag(ui: Repository) -> None:
    image = ui.image("build-77", "gallery")
    ran = promoted(ui, "--require", "signature", "--require", "sbom")
    assert (ran.code, ran.json["outcome"], is_released(ui)) == (6, "failed", False)
    assert "there is no signature" in ran.error
    assert [(each["kind"], each["present"]) for each in ran.json["evidence"]] == [("signature", False), ("sbom", False)]
    assert all(each["reference"] == f"{ui}@{image.digest}" for each in ran.json["evidence"])
    assert "verified" not in ran.out


def test_a_signature_that_a_gate_adds_is_found(ui: Repository, tmp_path: Path) -> None:
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", "key.pem"], cwd=tmp_path, check=True)
    (tmp_path / "sign.py").write_text(_SIGN)
    image = ui.image("build-77", "gallery")
    ran = promoted(ui, "--require", "signature", "--gate", f"sh -c 'cd {tmp_path}; {PYTHON} sign.py'")
    assert (ran.code, is_released(ui)) == (0, True), ran.err
    [found] = ran.json["evidence"]
    assert (found["present"], found["where"]) == (True, [f"{image.digest.replace(':', '-')}.sig"])
    text = tagger(None, "promote", f"{ui}:build-77", "2.1.107", "--require", "signature")
    assert f"signature: present for {ui}@{image.digest} (sha256-" in text.out, text.err


def test_a_referrer_with_a_statement_about_the_digest_counts(ui: Repository) -> None:
    image = ui.image("build-77", "gallery")
    referrer = referring(ui, image, statement(image.digest, SLSA), statement(image.digest, SPDX))
    ran = promoted(ui, "--require", "provenance", "--require", "sbom")
    assert ran.code == 0, ran.err
    assert [each["where"] for each in ran.json["evidence"]] == [[f"referrer {referrer.digest}"]] * 2


def test_a_referrer_that_the_registry_lists_counts() -> None:
    with ModelRegistry(referrers=True) as model:

        def manifest(*layers: tuple[str, bytes], **more: object) -> bytes:
            described = []
            for kind, content in ((EMPTY, b"{}"), *layers):
                model.blobs["ui", digest_of(content)] = content
                described.append({"mediaType": kind, "digest": digest_of(content), "size": len(content)})
            config, *others = described
            whole = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": others, **more}
            return json.dumps(whole).encode()

        image = manifest(("text/plain", b"gallery"))
        digest = model.put("ui", "build-77", image)
        words = f"{model.host}/ui", "--require", "provenance"
        assert promoted(*words).code == 6
        subject = {"mediaType": MANIFEST, "digest": digest, "size": len(image)}
        referrer = manifest((IN_TOTO, statement(digest, SLSA)), subject=subject)
        model.manifests["ui", digest_of(referrer)] = MANIFEST, referrer
        ran = promoted(*words)
        assert (ran.code, ran.json["evidence"][0]["where"]) == (0, [f"referrer {digest_of(referrer)}"]), ran.err


def test_a_tag_with_statements_counts(ui: Repository) -> None:
    image = ui.image("build-77", "gallery")
    attestation(ui, statement(image.digest, SLSA), tag=f"{image.digest.replace(':', '-')}.att")
    ui.attached(image, "sbom", "packages")
    assert promoted(ui, "--require", "provenance", "--require", "sbom").code == 0


def test_the_attestations_of_buildx_count_if_every_platform_has_one(ui: Repository) -> None:
    built(ui, {"linux/amd64": SLSA.encode()})
    ran = promoted(ui, "--require", "provenance")
    assert (ran.code, "there is no provenance for linux/arm64" in ran.error) == (6, True), ran.err
    built(ui, dict.fromkeys(("linux/amd64", "linux/arm64"), SLSA.encode()))
    assert promoted(ui, "--require", "sbom").code == 6
    assert promoted(ui, "--require", "provenance").code == 0


def test_evidence_is_copied_before_it_is_checked(ui: Repository, elsewhere: Registry) -> None:
    target = Repository(elsewhere, f"{ui.path}/golden")
    image = ui.image("build-77", "gallery")
    referring(ui, image, statement(image.digest, SLSA))
    assert promoted(ui, "--to", str(target), "--require", "provenance").code == 0
    assert is_released(target)


@pytest.mark.parametrize(("commit", "code"), [("c0ffee", 0), ("decade", 6)])
def test_strict_provenance_names_the_commit_of_the_label(ui: Repository, commit: str, code: int) -> None:
    names = {"version": "2.1.106", "revision": "c0ffee", "source": "https://git.example/gallery/ui"}
    labels = {f"org.opencontainers.image.{name}": text for name, text in names.items()}
    config = {"os": "linux", "architecture": "amd64", "config": {"Labels": labels}}
    image = ui.put(
        "build-77",
        MANIFEST,
        {"config": ui.blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"), "layers": []},
    )
    material = {"uri": "git+https://git.example/gallery/ui@refs/heads/main", "digest": {"sha1": commit}}
    referring(ui, image, statement(image.digest, SLSA, {"materials": [material]}))
    ran = promoted(ui, "--require", "provenance", "--strict")
    assert ran.code == code, ran.err
    assert promoted(ui, "--require", "provenance").code == 0, "without --strict any commit will do"


# -- what does not count -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (statement(digest_of(b"another"), SLSA), "is about another digest"),
        (b'{"predicateType": "https://slsa', "is not readable JSON"),
        (b"x" * (17 * 1024 * 1024), "tagger reads at most"),
    ],
    ids=["wrong subject", "torn", "too long"],
)
def test_a_statement_that_does_not_count_is_named(ui: Repository, content: bytes, says: str) -> None:
    image = ui.image("build-77", "gallery")
    referrer = referring(ui, image, content)
    ran = promoted(ui, "--require", "provenance")
    assert (ran.code, is_released(ui)) == (6, False)
    assert (f"referrer {referrer.digest}" in ran.error, says in ran.error) == (True, True), ran.error


def test_ten_megabytes_of_packages_are_read(ui: Repository) -> None:
    image = ui.image("build-77", "gallery")
    referring(ui, image, statement(image.digest, SPDX, {"packages": ["x" * 100] * 100_000}))
    assert promoted(ui, "--require", "sbom").code == 0


def test_a_referrer_that_disappears_is_not_evidence(ui: Repository) -> None:
    image = ui.image("build-77", "gallery")
    referrer = referring(ui, image, statement(image.digest, SLSA))
    status, _, _ = ui.registry.request("DELETE", f"/v2/{ui.path}/manifests/{referrer.digest}")
    assert status == 202
    ran = promoted(ui, "--require", "provenance")
    assert (ran.code, f"referrer {referrer.digest} is listed but missing" in ran.error) == (6, True), ran.err
    assert not is_released(ui)


def test_a_referrer_of_something_else_is_not_evidence(ui: Repository) -> None:
    image, other = ui.image("build-77", "gallery"), ui.image("other", "other")
    wrong = attestation(ui, statement(image.digest, SLSA), artifactType=IN_TOTO, subject=other.descriptor())
    ui.put(image.digest.replace(":", "-"), INDEX, {"manifests": [wrong.descriptor()]})
    ran = promoted(ui, "--require", "provenance")
    assert (ran.code, "refers to something else" in ran.error) == (6, True), ran.err


def test_an_endless_list_of_referrers_is_not_read_to_the_end() -> None:
    image = digest_of(b"gallery")
    with ModelRegistry(referrers=True, page_size=1000) as model:
        for number in range(MOST_REFERRERS + 1):
            body = json.dumps({"mediaType": MANIFEST, "subject": {"digest": image}, "number": number}).encode()
            model.manifests["ui", digest_of(body)] = MANIFEST, body
        model.put("ui", "build-77", b'{"mediaType": "application/vnd.oci.image.manifest.v1+json"}')
        registries = Registries(DockerConfig(), {}, Deadline())
        found = evidence(registries.open(Name.parse(f"{model.host}/ui")), Digest(image))
    assert f"has more than {MOST_REFERRERS} entries" in {each.why for each in found.unfit}
    assert len([request for request in model.requests if "/manifests/sha256:" in request.path]) <= MOST_REFERRERS + 1


@pytest.mark.usefixtures("hurried")
def test_evidence_that_cannot_be_read_does_not_count(ui: Repository) -> None:
    image = ui.image("build-77", "gallery")
    content = statement(image.digest, SLSA)
    attestation(ui, content, tag=f"{image.digest.replace(':', '-')}.att")
    with Proxy(ui.registry.host) as proxy:
        proxy.intercept(on("GET", f"/blobs/{digest_of(content)}", refusal(500, "UNKNOWN", "disk")))
        ran = promoted(f"{proxy.host}/{ui.path}", "--require", "provenance")
    assert (ran.code, "cannot be read" in ran.error, is_released(ui)) == (6, True, False), ran.err


def test_an_unknown_kind_of_evidence_is_refused_before_any_request() -> None:
    ran = tagger(None, "promote", "registry.example/ui:1", "2.1.106", "--require", "luck")
    assert (ran.code, "signature, provenance, sbom" in ran.error) == (2, True), ran.err
