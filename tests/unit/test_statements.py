"""What counts as evidence about an image, and what does not."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.names import Digest
from tagger.oci.evidence import KINDS, Evidence, Found, Origin, Source, Unfit, judged
from tagger.oci.manifest import OCI_MANIFEST, Blob, Manifest

IMAGE, OTHER = (Digest(f"sha256:{digit * 64}") for digit in "12")
AMD, ARM = (Digest(f"sha256:{digit * 64}") for digit in "34")
IN_TOTO = "application/vnd.in-toto+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SLSA = "https://slsa.dev/provenance/v1"
SPDX = "https://spdx.dev/Document"


def statement(of: str, predicate_type: str, predicate: Any = None) -> dict[str, Any]:
    """Make an in-toto statement."""
    algorithm, _, value = of.partition(":")
    subject = [{"name": "ui", "digest": {algorithm: value}}]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": predicate_type,
        "predicate": predicate,
    }


def enveloped(content: dict[str, Any]) -> dict[str, Any]:
    """Put a statement into an envelope, as cosign does."""
    payload = base64.b64encode(json.dumps(content).encode()).decode()
    return {"payloadType": IN_TOTO, "payload": payload, "signatures": [{"sig": "c2ln"}]}


def simple(of: str) -> dict[str, Any]:
    """Make what cosign signs."""
    return {"critical": {"image": {"docker-manifest-digest": of}, "type": "cosign container image signature"}}


def message(of: str) -> dict[str, Any]:
    """Make a bundle that signs bytes."""
    digest = base64.b64encode(bytes.fromhex(of.partition(":")[2])).decode()
    return {"messageSignature": {"messageDigest": {"algorithm": "SHA2_256", "digest": digest}}}


def found(media_type: str, content: object, *, artifact: str = "", hung: str = "") -> list[Found | Unfit]:
    """Return what a manifest with one layer is taken for."""
    body = content if isinstance(content, bytes | str) else json.dumps(content).encode()
    layer = {"mediaType": media_type, "digest": OTHER, "size": len(body)}
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": OTHER, "size": 2}
    whole = {"config": config, "layers": [layer], **({"artifactType": artifact} if artifact else {})}
    manifest = Manifest.of(OCI_MANIFEST, json.dumps(whole).encode())

    def read(_: Blob) -> bytes | str:
        return body

    return [*judged(IMAGE, "there", manifest, read, hung)]


@pytest.mark.parametrize(
    ("media_type", "content", "kind"),
    [
        (IN_TOTO, statement(IMAGE, SLSA), "provenance"),
        (IN_TOTO, statement(IMAGE, "https://slsa.dev/provenance/v0.2"), "provenance"),
        (IN_TOTO, statement(IMAGE, SPDX), "sbom"),
        (IN_TOTO, statement(IMAGE, "https://cyclonedx.org/bom/v1.4"), "sbom"),
        (DSSE, enveloped(statement(IMAGE, SLSA)), "provenance"),
        (BUNDLE, {"dsseEnvelope": enveloped(statement(IMAGE, SPDX))}, "sbom"),
        (BUNDLE, {"dsseEnvelope": enveloped(statement(IMAGE, "https://sigstore.dev/cosign/sign/v1"))}, "signature"),
        (BUNDLE, message(IMAGE), "signature"),
        (SIMPLE, simple(IMAGE), "signature"),
    ],
)
def test_a_statement_about_the_digest_is_evidence_of_its_kind(media_type: str, content: object, kind: str) -> None:
    assert found(media_type, content) == [Found(kind, IMAGE, "there")]


@pytest.mark.parametrize(
    ("media_type", "content", "why"),
    [
        (IN_TOTO, statement(OTHER, SLSA), "is about another digest"),
        (IN_TOTO, {**statement(IMAGE, SLSA), "subject": []}, "is about another digest"),
        (IN_TOTO, {**statement(IMAGE, SLSA), "subject": "all"}, "is about another digest"),
        (IN_TOTO, {**statement(IMAGE, SLSA), "subject": [None, {"digest": [1]}, {}]}, "is about another digest"),
        (IN_TOTO, json.dumps(statement(IMAGE, SLSA)).encode()[:-20], "is not readable JSON"),
        (IN_TOTO, b"[" * 1_000_000, "is not readable JSON"),
        (IN_TOTO, b"\xff\xfe", "is not readable JSON"),
        (IN_TOTO, {"predicate": {}}, "holds no in-toto statement"),
        (DSSE, enveloped(statement(OTHER, SPDX)), "is about another digest"),
        (DSSE, {"payload": "%%%"}, "holds no in-toto statement"),
        (DSSE, {"payload": 7}, "holds no in-toto statement"),
        (BUNDLE, message(OTHER), "signs something else"),
        (BUNDLE, {"messageSignature": {"messageDigest": 3}}, "signs something else"),
        (SIMPLE, simple(OTHER), "signs another digest"),
        (SIMPLE, {"critical": {"image": IMAGE}}, "signs another digest"),
        (IN_TOTO, "has 99 bytes too many", "has 99 bytes too many"),
    ],
)
def test_a_damaged_or_foreign_statement_does_not_count(media_type: str, content: object, why: str) -> None:
    assert found(media_type, content) == [Unfit(IMAGE, "there", why)]


def test_a_statement_of_another_kind_is_neither_evidence_nor_a_problem() -> None:
    assert found(IN_TOTO, statement(IMAGE, "https://cosign.sigstore.dev/attestation/vuln/v1")) == []
    assert found("application/vnd.oci.image.layer.v1.tar", b"") == []


def test_evidence_without_a_statement_has_the_kind_of_its_type_or_tag() -> None:
    assert found("application/jose+json", b"", artifact="application/vnd.cncf.notary.signature") == [
        Found("signature", IMAGE, "there")
    ]
    assert found("application/spdx+json", b"") == [Found("sbom", IMAGE, "there")]
    assert found("text/plain", b"", hung="sbom") == [Found("sbom", IMAGE, "there")]
    assert found(SIMPLE, simple(OTHER), hung="signature") == [Unfit(IMAGE, "there", "signs another digest")]


NAMES = [
    "subject",
    "digest",
    "predicateType",
    "predicate",
    "payload",
    "dsseEnvelope",
    "messageSignature",
    "critical",
    "image",
    "messageDigest",
    "uri",
    "source",
    "revision",
    "sha1",
    "gitCommit",
    "sha256",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)


@given(st.sampled_from([IN_TOTO, DSSE, BUNDLE, SIMPLE]), JSON, st.sampled_from([None, SLSA, SPDX]))
def test_any_document_is_evidence_or_unfit(media_type: str, content: Any, predicate: str | None) -> None:
    if predicate and isinstance(content, dict):
        content = {**statement(IMAGE, predicate), **content, "predicateType": predicate}
    for each in found(media_type, content):
        assert each.of == IMAGE
        assert isinstance(each, Unfit) or each.kind in KINDS


# -- platforms -----------------------------------------------------------------------------------------------------


def test_an_index_needs_evidence_of_its_own_or_for_every_platform() -> None:
    platforms = {AMD: "linux/amd64", ARM: "linux/arm64"}
    amd, arm, whole = (Found("sbom", of, str(of)) for of in (AMD, ARM, IMAGE))
    assert Evidence(IMAGE, platforms, (whole,)).lacks("sbom") is None
    assert Evidence(IMAGE, platforms, (amd, arm)).lacks("sbom") is None
    assert Evidence(IMAGE, platforms, (amd,)).lacks("sbom") == "there is no sbom for linux/arm64"
    assert Evidence(IMAGE, platforms, (amd, arm)).lacks("provenance") == "there is no provenance"
    assert Evidence(IMAGE, platforms, (amd, arm)).where("sbom") == (AMD, ARM)
    torn = Unfit(IMAGE, "the tag", "is torn")
    assert Evidence(IMAGE, unfit=(torn,)).lacks("sbom") == "there is no sbom; the tag is torn"


# -- the source ----------------------------------------------------------------------------------------------------

HERE = Source("git.example/gallery/ui", "c0ffee")
PREDICATES = {
    "SLSA 0.2": {
        "materials": [{"uri": "git+https://git.example/gallery/ui@refs/heads/main", "digest": {"sha1": "c0ffee"}}]
    },
    "SLSA 1": {
        "buildDefinition": {
            "resolvedDependencies": [{"uri": "git+https://git.example/gallery/ui", "digest": {"gitCommit": "c0ffee"}}]
        }
    },
    "BuildKit": {
        "invocation": {"configSource": {"uri": "https://git.example/gallery/ui.git#main", "digest": {"sha1": "c0ffee"}}}
    },
    "BuildKit, from a folder": {
        "metadata": {"buildkit": {"vcs": {"source": "git@git.example:gallery/ui.git", "revision": "c0ffee"}}}
    },
}


@pytest.mark.parametrize("predicate", PREDICATES.values(), ids=PREDICATES)
def test_provenance_names_the_source_that_it_has_to_name(predicate: object) -> None:
    [there] = found(IN_TOTO, statement(IMAGE, SLSA, predicate))
    assert isinstance(there, Found)
    assert HERE in there.sources
    evidence = Evidence(IMAGE, found=(there,))
    for origin in (None, Origin(), Origin(*HERE), Origin(commit="c0ffee"), Origin("git.example/gallery/ui")):
        assert evidence.lacks("provenance", origin) is None
    for origin in (Origin(commit="decade"), Origin("git.example/gallery/api", "c0ffee")):
        assert f"names git.example/gallery/ui@c0ffee, not {origin}" in str(evidence.lacks("provenance", origin))


def test_strict_provenance_without_a_source_does_not_count() -> None:
    evidence = Evidence(IMAGE, found=(Found("provenance", IMAGE, "there"), Found("sbom", IMAGE, "there")))
    assert evidence.lacks("provenance") is None
    assert evidence.lacks("provenance", Origin()) == "there is no provenance; there names no source, not a commit"
    assert evidence.lacks("sbom", Origin(commit="c0ffee")) is None
