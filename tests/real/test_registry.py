"""A repository's tags are what its registry says; nothing counts as absent, present or done without proof."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import pytest
from clocks import Skipping
from doubles import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Basic,
    Bearer,
    ModelRegistry,
    Request,
    Response,
    as_json,
    digest_of,
    index,
    manifest,
    on,
    refusal,
)
from services import Registry as RealRegistry
from services import private_folder

from tagger.credentials.credential import Credential, Secret
from tagger.errors import (
    Denied,
    Immutable,
    NoRepository,
    OverQuota,
    Refused,
    RegistryError,
    RegistryUnreachable,
    TaggerError,
    Unreadable,
)
from tagger.names import Registry, Repository, Tag
from tagger.oci.manifest import MEDIA_TYPES, Manifest
from tagger.registry import tag_list as taglist
from tagger.registry.answer import Answer
from tagger.registry.connection import Connection
from tagger.registry.repository import RemoteRepository
from tagger.registry.site import Trust
from tagger.work import Deadline

PATH = "gallery/ui"
LIST = f"/v2/{PATH}/tags/list"
CANARY = "correct-horse-canary"
ANN = Credential("ann", Secret(CANARY))
V1, V2, LATEST = Tag("1.0.0"), Tag("2.1.106"), Tag("latest")
ONE, TWO = manifest(b"one"), manifest(b"two")
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
ADVICE = r": (try again|check (that|whether)|run docker login|run the same command again)"
Open = Callable[..., RemoteRepository]


@pytest.fixture
def remote() -> Iterator[Open]:
    """Open repositories over plain HTTP, and close their connections at the end."""
    with contextlib.ExitStack() as opened:

        def open_repository(host: str, path: str = PATH, credential: Credential | None = None) -> RemoteRepository:
            trust, deadline = Trust(insecure=True, plain_credentials=True), Deadline(clock=Skipping())
            pool = Connection(Registry(host), lambda: credential, trust, deadline=deadline)
            opened.callback(pool.close)
            return RemoteRepository(Repository.at(Registry(host), path), pool)

        yield open_repository


@pytest.fixture
def model() -> Iterator[ModelRegistry]:
    """A registry with three tags on two images."""
    with ModelRegistry() as server:
        server.seed(PATH, {V1: b"one", V2: b"two", LATEST: b"two"})
        yield server


def assert_hidden(error: TaggerError) -> None:
    assert CANARY not in str(error)
    assert error.__suppress_context__ or error.__context__ is None


# The list of tags


@pytest.mark.parametrize("links", ["relative", "absolute"])
@pytest.mark.parametrize("page_size", [None, 1, 2, 7, 1000])
def test_every_page_of_the_list_is_read(
    remote: Open, links: Literal["relative", "absolute"], page_size: int | None
) -> None:
    tags = {f"1.0.{number}": b"one" for number in range(25)}
    with ModelRegistry(page_size=page_size, links=links) as server:
        server.seed(PATH, tags)
        assert set(remote(server.host).tags()) == tags.keys()
        asked = [request for request in server.requests if request.path == LIST]
        assert len(asked) == (-(-25 // page_size) if page_size else 1)
        assert asked[0].query == {"n": ["1000"]}


def page(tags: object, following: str | None = None) -> Response:
    link = {"Link": following} if following else {}
    return as_json(200, {"name": PATH, "tags": tags}, **link)


@pytest.mark.parametrize(
    "link",
    [
        f'<{LIST}?next_page=x>; rel="next"',
        f"<{LIST}?next_page=x>;rel=next",
        f'<{LIST}?next_page=x>; title="x"; REL="next"',
        f'</other>; rel="prev", <{LIST}?next_page=x>; rel="next"',
        '<?next_page=x>; rel="next"',
        '<list?next_page=x>; rel="next"',
        f'{LIST}?next_page=x; rel="next"',
    ],
)
def test_the_link_to_the_next_page_is_followed_unchanged(remote: Open, model: ModelRegistry, link: str) -> None:
    model.intercept(lambda sent: page(["2"]) if sent.path == LIST and sent.query == {"next_page": ["x"]} else None)
    model.intercept(on("GET", LIST, page(["1"], link)))
    assert remote(model.host).tags() == ["1", "2"]


@pytest.mark.parametrize("path", ["/v2/ui/tags/list", "/artifactory/v2/gallery/ui/tags/list", "/", "list", "../x"])
def test_only_the_query_of_the_link_counts(remote: Open, model: ModelRegistry, path: str) -> None:
    model.seed("ui", {"9.0.0": b"somebody else's"})
    model.intercept(lambda sent: page(["2"]) if sent.path == LIST and sent.query == {"last": ["1"]} else None)
    model.intercept(on("GET", LIST, page(["1"], f'<{path}?last=1>; rel="next"')))
    assert remote(model.host).tags() == ["1", "2"]
    assert {request.path for request in model.requests} == {LIST}


@pytest.mark.parametrize("status", [400, 405, 412, 422])
def test_a_registry_with_smaller_pages_gets_requests_of_its_own_page_size(
    remote: Open, model: ModelRegistry, status: int
) -> None:
    refused = refusal(status, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
    model.intercept(lambda sent: refused if "n" in sent.query else None)
    found = remote(model.host)
    assert set(found.tags()) == set(found.tags()) == model.repositories[PATH].keys()
    assert [request.query for request in model.requests] == [{"n": ["1000"]}, {}, {}]


@pytest.mark.long
def test_a_list_of_sixty_thousand_images_in_one_answer_is_read(remote: Open, model: ModelRegistry) -> None:
    tags = [f"1.0.{number}" for number in range(60_000)]
    about = {"imageSizeBytes": "123456789", "layerId": "", "mediaType": DOCKER_MANIFEST, "timeCreatedMs": "1" * 13}
    manifests = {digest_of(tag.encode()): about | {"timeUploadedMs": "1" * 13, "tag": [tag]} for tag in tags}
    body = json.dumps({"child": [], "manifest": manifests, "name": PATH, "tags": tags}).encode()
    assert len(body) > 17_000_000
    model.intercept(on("GET", LIST, Response(200, body)))
    assert remote(model.host).tags() == tags


def test_a_list_that_is_too_large_is_refused(
    remote: Open, model: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taglist, "_PAGE_BYTES", 1 << 20)
    model.intercept(on("GET", LIST, page(["1.0.0"] * 200_000)))
    with pytest.raises(RegistryError, match=r"more than 1 MB in one answer, .* half a list: remove old tags") as caught:
        remote(model.host).tags()
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("answer", [refusal(403, "DENIED", "no"), refusal(401, "UNAUTHORIZED", "no")])
def test_a_denied_list_may_mean_that_the_repository_does_not_exist_yet(
    remote: Open, model: ModelRegistry, answer: Response
) -> None:
    model.intercept(on("GET", LIST, answer))
    with pytest.raises(
        Denied, match=r"run docker login .*does not exist yet, so create it .*release with --assume-newest"
    ):
        remote(model.host).tags()


@pytest.mark.parametrize(
    "link", ["", f"<{LIST}?x>", f'<{LIST}?x>; rel="prev"', f'<{LIST}?x>; rel="nextish"', "rel=next"]
)
def test_a_page_without_a_link_is_the_last(remote: Open, model: ModelRegistry, link: str) -> None:
    model.intercept(on("GET", LIST, page(["1"], link)))
    assert remote(model.host).tags() == ["1"]


@pytest.mark.parametrize("link", [f"<{LIST}>; rel=next", f"<{LIST}?n=1000>; rel=next", "<>; rel=next"])
def test_a_list_that_goes_in_circles_is_refused(remote: Open, model: ModelRegistry, link: str) -> None:
    model.intercept(on("GET", LIST, page(["1"], link)))
    with pytest.raises(
        RegistryError, match=r"sends an endless list of tags, .* half a list: ask the registry's administrator"
    ):
        remote(model.host).tags()
    assert len(model.requests) <= 3


@pytest.mark.parametrize("tags", [[], None, ["1", "2"]])
def test_pages_without_new_tags_are_refused(remote: Open, model: ModelRegistry, tags: list[str] | None) -> None:
    model.intercept(on("GET", LIST, lambda _: page(tags, f"<{LIST}?page={len(model.requests)}>; rel=next")))
    with pytest.raises(RegistryError, match="sends an endless list of tags"):
        remote(model.host).tags()
    assert len(model.requests) < 20


def test_an_endless_list_of_new_tags_is_refused(
    remote: Open, model: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def more(_: object) -> Response:
        number = len(model.requests)
        return page([f"{number}.0.0", f"not a tag {number}"], f"<{LIST}?page={number}>; rel=next")

    monkeypatch.setattr(taglist, "_MOST_TAGS", 100)
    model.intercept(on("GET", LIST, more))
    with pytest.raises(RegistryError, match="sends an endless list of tags"):
        remote(model.host).tags()


@pytest.mark.parametrize(
    "link", ["<http://localhost:1/x>; rel=next", "<https://evil.test/>; rel=next", "<//e/>; rel=next"]
)
def test_the_next_page_is_never_on_another_host(remote: Open, model: ModelRegistry, link: str) -> None:
    model.intercept(on("GET", LIST, page(["1"], link)))
    with pytest.raises(RegistryError, match=r"points to another host, .*: ask its administrator"):
        remote(model.host).tags()


@pytest.mark.parametrize("link", ["<http://[>; rel=next", "<//[x>; rel=next"])
def test_a_link_to_nonsense_is_refused(remote: Open, model: ModelRegistry, link: str) -> None:
    model.intercept(on("GET", LIST, page(["1"], link)))
    with pytest.raises(RegistryError, match="which is not a URL: ask its administrator"):
        remote(model.host).tags()


@pytest.mark.parametrize(
    "answer",
    [
        refusal(404, "NAME_UNKNOWN", "repository name not known to registry"),
        refusal(400, "UNSUPPORTED", "invalid next token"),
        Response(500),
        Response(200, b"<html>"),
        Response(200, b'{"name": "gallery/ui", "tags": ["1.0'),
        Response(drop=True),
    ],
)
def test_an_incomplete_list_is_never_returned(remote: Open, answer: Response) -> None:
    with ModelRegistry(page_size=1) as server:
        server.seed(PATH, {V1: b"one", V2: b"two"})
        server.intercept(lambda sent: answer if "last" in sent.query else None)
        with pytest.raises(TaggerError):
            remote(server.host).tags()


@pytest.mark.parametrize("tags", [None, []])
def test_a_repository_without_remaining_tags_has_an_empty_list(
    remote: Open, model: ModelRegistry, tags: list[str] | None
) -> None:
    model.intercept(on("GET", LIST, page(tags)))
    assert remote(model.host).tags() == []


def test_a_page_without_a_key_for_tags_is_empty(remote: Open, model: ModelRegistry) -> None:
    model.intercept(on("GET", LIST, as_json(200, {"name": PATH})))
    assert remote(model.host).tags() == []


def test_a_repository_that_does_not_exist_has_no_tags(remote: Open, model: ModelRegistry) -> None:
    assert remote(model.host, "no/such/repository").tags() == []


def test_a_name_that_is_not_a_tag_is_left_out_of_the_list(remote: Open, model: ModelRegistry) -> None:
    hostile = ["../x", "-a", ".a", "a/b", "", "a\nb", "a:b", "\x1b[2J", "é", "x" * 129, "1.0.0", "1.0.0", "latest"]
    model.intercept(on("GET", LIST, page(hostile)))
    assert remote(model.host).tags() == ["1.0.0", "latest"]


@pytest.mark.parametrize("tags", ["1.0.0", [1], [None], [["1.0.0"]], {"1.0.0": {}}, 5, True])
def test_a_list_with_anything_but_strings_is_refused(remote: Open, model: ModelRegistry, tags: object) -> None:
    model.intercept(on("GET", LIST, page(tags)))
    with pytest.raises(
        RegistryError, match="lists tags that are not strings: the registry is broken, so ask its administrator"
    ):
        remote(model.host).tags()


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, b"<html>sign in</html>", {"Content-Type": "text/html"}),
        Response(404, b"<html>not found</html>", {"Content-Type": "text/html"}),
        Response(404),
        Response(200),
        Response(200, b"[]"),
        Response(200, b"{}"),
        Response(200, b"[" * 100_000),
        as_json(200, {"status": "ok"}),
        as_json(404, {"detail": "Not Found"}),
    ],
)
def test_a_server_that_is_not_a_registry_is_reported_as_such(
    remote: Open, model: ModelRegistry, answer: Response
) -> None:
    model.intercept(on("GET", LIST, answer))
    with pytest.raises(
        RegistryUnreachable, match=f"{model.host} is not a registry: check the host and the port"
    ) as caught:
        remote(model.host).tags()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response(500), Unreadable),
        (refusal(503, "UNAVAILABLE", "later"), Unreadable),
        (refusal(403, "DENIED", "no"), Denied),
        (Response(401), Denied),
        (Response(400), RegistryError),
        (Response(429), RegistryError),
        (Response(204), RegistryError),
        (Response(drop=True), Unreadable),
    ],
)
def test_a_failed_list_is_not_an_empty_list(
    remote: Open, model: ModelRegistry, answer: Response, error: type[TaggerError]
) -> None:
    model.intercept(on("GET", LIST, answer))
    with pytest.raises(error, match=ADVICE):
        remote(model.host).tags()


# Where a tag points


def test_the_digest_comes_from_the_header(remote: Open, model: ModelRegistry) -> None:
    found = remote(model.host)
    assert {tag: found.digest(tag) for tag in (V1, V2, LATEST)} == model.repositories[PATH]
    assert {request.method for request in model.requests} == {"HEAD"}


@pytest.mark.parametrize("header", [{}, {"Docker-Content-Digest": "nonsense"}, {"Docker-Content-Digest": "sha256:1"}])
def test_without_a_digest_in_the_header_the_content_is_read(
    remote: Open, model: ModelRegistry, header: dict[str, str]
) -> None:
    answer = Response(200, ONE, {"Content-Type": DOCKER_MANIFEST, **header})
    model.intercept(on("HEAD", "/1.0.0$", answer))
    model.intercept(on("GET", "/1.0.0$", Response(200, ONE, {"Content-Type": DOCKER_MANIFEST})))
    assert remote(model.host).digest(V1) == digest_of(ONE)


def test_a_tag_that_is_removed_between_two_reads_is_absent(remote: Open, model: ModelRegistry) -> None:
    model.intercept(on("HEAD", "/1.0.0$", Response(200, ONE, {"Content-Type": DOCKER_MANIFEST})))
    del model.repositories[PATH][V1]
    assert remote(model.host).digest(V1) is None


def test_every_read_accepts_every_type_of_manifest(remote: Open, model: ModelRegistry) -> None:
    found = remote(model.host)
    found.digest(V1)
    found.manifest(V1)
    assert [request.headers["Accept"] for request in model.requests] == [", ".join(MEDIA_TYPES)] * 2


@pytest.mark.parametrize("media_type", [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST])
def test_a_manifest_of_every_type_is_found(remote: Open, model: ModelRegistry, media_type: str) -> None:
    body = index({"linux/amd64": ONE}) if media_type == OCI_INDEX else manifest(b"new", media_type=media_type)
    digest = model.put(PATH, "3", body)
    found = remote(model.host)
    assert found.digest(Tag("3")) == digest
    assert found.manifest(Tag("3")) == Manifest.of(media_type, body)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 406, 410, 412, 415, 501])
def test_a_get_follows_a_head_that_denies_a_tag(remote: Open, model: ModelRegistry, status: int) -> None:
    model.intercept(on("HEAD", "/manifests/", Response(status, b"x" * 100)))
    found = remote(model.host)
    found.tags()
    assert {tag: found.digest(tag) for tag in (V1, V2, LATEST)} == model.repositories[PATH]
    asked = [request.method for request in model.requests if "/manifests/" in request.path]
    assert asked == ["HEAD", "GET", "GET", "GET"], "after the first one, nobody asks this registry by HEAD"
    assert found.digest(Tag("3.0.0")) is None


def test_an_unlisted_tag_is_absent_after_one_head(remote: Open, model: ModelRegistry) -> None:
    found = remote(model.host)
    found.tags()
    assert found.digest(Tag("3.0.0")) is None
    assert [request.method for request in model.requests if "/manifests/" in request.path] == ["HEAD"]


def test_a_listed_tag_that_is_denied_twice_is_absent_and_heads_are_trusted(remote: Open, model: ModelRegistry) -> None:
    found = remote(model.host)
    found.tags()
    del model.repositories[PATH][V1]
    assert (found.digest(V1), found.digest(V2)) == (None, digest_of(TWO))
    assert [r.method for r in model.requests if "/manifests/" in r.path] == ["HEAD", "GET", "HEAD"]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("status", [403, 412, 423, 451])
def test_an_image_that_a_policy_blocks_is_unreadable_and_not_denied(
    remote: Open, model: ModelRegistry, method: str, status: int
) -> None:
    said = "current image with 7 vulnerabilities cannot be pulled"
    for each in ("HEAD", "GET"):
        model.intercept(on(each, f"/({V1}|{digest_of(ONE)})$", refusal(status, "PROJECTPOLICYVIOLATION", said)))
    found = remote(model.host)
    for reference in (V1, V1, Manifest.of(DOCKER_MANIFEST, ONE).digest):
        with pytest.raises(Unreadable, match=f"{said}.*: check whether a policy"):
            found.descriptor(reference) if method == "HEAD" else found.manifest(reference)
    assert found.digest(V2) == digest_of(TWO)
    assert [request.path for request in model.requests].count(LIST) == 1, "the list is read once for all of them"


@pytest.mark.parametrize("status", [403, 412])
def test_a_blocked_repository_is_not_reported_as_an_unreadable_tag(
    remote: Open, model: ModelRegistry, status: int
) -> None:
    model.intercept(lambda _: refusal(status, "DENIED", "no"))
    with pytest.raises(TaggerError) as caught:
        remote(model.host).digest(V1)
    assert not isinstance(caught.value, Unreadable)


def test_a_denial_of_a_tag_that_is_not_listed_is_about_the_repository(remote: Open, model: ModelRegistry) -> None:
    for method in ("HEAD", "GET"):
        model.intercept(on(method, "/manifests/", refusal(403, "DENIED", "no")))
    with pytest.raises(Denied):
        remote(model.host).digest(Tag("3.0.0"))


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}'])
def test_a_404_is_absent(remote: Open, model: ModelRegistry, method: str, body: bytes) -> None:
    model.intercept(on(method, "/1.0.0$", Response(404, body)))
    found = remote(model.host)
    assert (found.digest(V1) if method == "HEAD" else found.manifest(V1)) is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response(500), Unreadable),
        (Response(502, b"<html>"), Unreadable),
        (Response(503), Unreadable),
        (Response(drop=True), Unreadable),
        (Response(401), Denied),
        (Response(403), Unreadable),
        (Response(400), RegistryError),
        (Response(405), RegistryError),
        (Response(410), RegistryError),
        (Response(429), RegistryError),
        (Response(204), RegistryError),
    ],
)
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_nothing_but_a_404_is_absent(
    remote: Open, model: ModelRegistry, method: str, answer: Response, error: type[TaggerError]
) -> None:
    for each in {method, "GET"}:
        model.intercept(on(each, "/1.0.0$", answer))
    found = remote(model.host)
    with pytest.raises(error, match=ADVICE):
        found.digest(V1) if method == "HEAD" else found.manifest(V1)


def test_content_that_does_not_match_the_header_is_refused(remote: Open, model: ModelRegistry) -> None:
    wrong = {"Content-Type": DOCKER_MANIFEST, "Docker-Content-Digest": digest_of(TWO)}
    model.intercept(on("GET", "/1.0.0$", Response(200, ONE, wrong)))
    with pytest.raises(RegistryError, match=f"digest {digest_of(ONE)}, not {digest_of(TWO)}: push the image again"):
        remote(model.host).manifest(V1)


def test_content_that_does_not_match_the_request_is_refused(remote: Open, model: ModelRegistry) -> None:
    asked = Manifest.of(DOCKER_MANIFEST, TWO).digest
    model.intercept(on("GET", asked, Response(200, ONE, {"Content-Type": DOCKER_MANIFEST})))
    with pytest.raises(RegistryError, match=f"serves {asked} with the digest {digest_of(ONE)}"):
        remote(model.host).manifest(asked)


def test_another_algorithm_is_checked_too(remote: Open, model: ModelRegistry) -> None:
    digest = f"sha512:{hashlib.sha512(ONE).hexdigest()}"
    answer = Response(200, ONE, {"Content-Type": DOCKER_MANIFEST, "Docker-Content-Digest": digest})
    model.intercept(on("GET", "/1.0.0$", answer))
    found = remote(model.host).manifest(V1)
    assert found
    assert found.digest == digest


@pytest.mark.parametrize("media_type", [SCHEMA_1, "application/json", "text/html", "", "\x1b[2J"])
def test_an_obsolete_or_unknown_manifest_is_refused(remote: Open, model: ModelRegistry, media_type: str) -> None:
    model.intercept(on("GET", "/1.0.0$", Response(200, ONE, {"Content-Type": media_type})))
    with pytest.raises(RegistryError, match="is not a current image manifest: push the image again") as caught:
        remote(model.host).manifest(V1)
    assert str(caught.value).isprintable()


def test_parameters_of_the_content_type_do_not_matter(remote: Open, model: ModelRegistry) -> None:
    model.intercept(on("GET", "/1.0.0$", Response(200, ONE, {"Content-Type": f"{DOCKER_MANIFEST}; charset=utf-8"})))
    assert remote(model.host).manifest(V1) == Manifest.of(DOCKER_MANIFEST, ONE)


def test_a_manifest_has_its_size(remote: Open, model: ModelRegistry) -> None:
    model.intercept(on("GET", "/1.0.0$", Response(200, b" " * (4 * 1024 * 1024 + 1), {"Content-Type": OCI_INDEX})))
    with pytest.raises(RegistryError, match="more than 4194304 bytes, more than any registry should send: check"):
        remote(model.host).manifest(V1)


# Writing


def test_a_tag_is_put_byte_for_byte(remote: Open, model: ModelRegistry) -> None:
    found = remote(model.host)
    body = ONE + b"\n  "
    found.put(LATEST, Manifest.of(DOCKER_MANIFEST, body))
    assert model.manifests[PATH, digest_of(body)] == (DOCKER_MANIFEST, body)
    assert model.repositories[PATH][LATEST] == digest_of(body)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (refusal(400, "MANIFEST_INVALID", "bad"), RegistryError, "bad.*check that the registry's rules allow that"),
        (refusal(400, "TAG_INVALID", "already exists"), Immutable, r"already exists.*or set floats = \[\]"),
        (refusal(412, "PRECONDITION", "immutable"), Immutable, "immutable.*exclude the floating tags from"),
        (refusal(405, "REGISTRY_DISALLOWED_OPERATION", "no"), Immutable, "exclude the floating tags from"),
        (refusal(403, "DENIED", "it is in read only mode"), Refused, "read only mode.*: wait until it accepts writes"),
        (refusal(403, "DENIED", "quota exceeded"), OverQuota, "quota exceeded.*: remove old versions"),
        (refusal(404, "NAME_UNKNOWN", "no"), NoRepository, "NAME_UNKNOWN: no.*: create the repository first"),
        (Response(429), RegistryError, "HTTP 429.*try again later"),
        (
            refusal(403, "DENIED", "immutability settings"),
            Immutable,
            "immutability settings.*exclude the floating tags",
        ),
        (refusal(403, "DENIED", "no"), Denied, "DENIED: no.*docker login .*or ask for"),
        (
            as_json(403, {"errors": [{"code": "X", "detail": {"message": "tag 'latest' is immutable"}}]}),
            Immutable,
            "exclude the floating tags",
        ),
        (refusal(500, "UNKNOWN", "the tag is immutable"), Immutable, "exclude the floating tags"),
        (Response(401), Denied, "does not let you write latest .*run docker login"),
        (Response(500), Unreadable, "failed to write latest .*try again"),
        (Response(drop=True), Unreadable, "run the same command again"),
        (Response(200 + 4), RegistryError, "HTTP 204.*check that the registry's rules"),
    ],
)
def test_a_failed_write_is_reported(
    remote: Open, model: ModelRegistry, answer: Response, error: type[TaggerError], message: str
) -> None:
    model.intercept(on("PUT", "/latest$", answer))
    with pytest.raises(error, match=message):
        remote(model.host).put(LATEST, Manifest.of(DOCKER_MANIFEST, ONE))


@pytest.mark.parametrize("status", [403, 412, 500, 503])
def test_a_permanently_refused_write_is_not_repeated(remote: Open, model: ModelRegistry, status: int) -> None:
    model.intercept(on("PUT", "/latest$", refusal(status, "DENIED", "tag latest is immutable")))
    with pytest.raises(Immutable):
        remote(model.host).put(LATEST, Manifest.of(DOCKER_MANIFEST, ONE))
    assert [request.method for request in model.requests].count("PUT") == 1


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ([{"code": "MANIFEST_INVALID", "message": "bad", "detail": "HTTP 403 Forbidden"}], "bad, HTTP 403 Forbidden"),
        ([{"code": "MANIFEST_INVALID", "detail": {"description": "no"}}], "MANIFEST_INVALID: description: no"),
        (
            [{"code": "A", "detail": [{"Type": "repository", "Class": "", "Action": "pull"}]}],
            "A: Type: repository, Action: pull",
        ),
        ([{"code": "A", "detail": [[[[["deep"]]]]]}], "(HTTP 400, A)"),
        ([{"code": "A", "message": "one"}, {"code": "B", "message": "two"}], "A: one; B: two"),
        ([{"status": 400, "message": "bad"}], "(HTTP 400, bad)"),
        (["bad"], "(HTTP 400, bad)"),
        ("bad", "(HTTP 400, bad)"),
        ([{"code": "A", "message": "x" * 500 + " ecr:PutImage"}], " ecr:PutImage)"),
        ([{"code": "A", "message": "", "detail": {}}], "(HTTP 400, A)"),
        ([], "(HTTP 400)"),
        ([None, [], 5], "(HTTP 400)"),
    ],
)
def test_a_refusal_is_shown_whole(remote: Open, model: ModelRegistry, errors: object, said: str) -> None:
    model.intercept(on("PUT", "/latest$", as_json(400, {"errors": errors})))
    with pytest.raises(RegistryError) as caught:
        remote(model.host).put(LATEST, Manifest.of(DOCKER_MANIFEST, ONE))
    assert said in str(caught.value)


@pytest.mark.parametrize("body", [b'{"message": "bad"}', b'{"error": "bad"}', b'{"detail": "bad"}'])
def test_an_error_in_another_format_is_shown_too(remote: Open, model: ModelRegistry, body: bytes) -> None:
    model.intercept(on("PUT", "/latest$", Response(400, body)))
    with pytest.raises(RegistryError, match=r"\(HTTP 400, bad\)"):
        remote(model.host).put(LATEST, Manifest.of(DOCKER_MANIFEST, ONE))


def test_a_write_whose_answer_was_lost_is_repeated(remote: Open, model: ModelRegistry) -> None:
    model.intercept(on("PUT", "/latest$", model.lose_answer, times=1))
    remote(model.host).put(LATEST, Manifest.of(DOCKER_MANIFEST, ONE))
    assert model.repositories[PATH][LATEST] == digest_of(ONE)


def put_together(found: RemoteRepository, tags: Sequence[str]) -> set[Tag]:
    return found.put_together([Tag(tag) for tag in tags], Manifest.of(DOCKER_MANIFEST, ONE))


@pytest.mark.parametrize(("tags", "requests"), [(["3.0", "3", "latest"], 1), ([f"3.{n}" for n in range(12)], 2)])
def test_a_registry_that_supports_it_gets_ten_tags_in_one_request(
    remote: Open, tags: Sequence[str], requests: int
) -> None:
    with ModelRegistry(tags_at_once=10) as server:
        server.seed(PATH, {V1: b"one"})
        assert put_together(remote(server.host), tags) == set(tags)
        assert server.repositories[PATH] == dict.fromkeys([V1, *tags], digest_of(ONE))
        assert len(server.requests) == requests


def test_only_tags_that_the_registry_names_count_as_written(remote: Open) -> None:
    with ModelRegistry(tags_at_once=2) as server:
        server.seed(PATH, {V1: b"one"})
        assert put_together(remote(server.host), ["3.0", "3", "latest"]) == {"3.0", "3"}
        assert LATEST not in server.repositories[PATH]


def test_a_registry_that_ignores_tags_beside_a_digest_wrote_none(remote: Open, model: ModelRegistry) -> None:
    before = dict(model.repositories[PATH])
    assert put_together(remote(model.host), ["3.0", "3"]) == set()
    assert model.repositories[PATH] == before


@pytest.mark.parametrize("status", [202, 400, 404, 405, 414, 500])
def test_a_registry_that_refuses_tags_beside_a_digest_wrote_none(remote: Open, status: int) -> None:
    with ModelRegistry(tags_at_once=10) as server:
        server.intercept(on("PUT", "/sha256:", Response(status, headers={"OCI-Tag": "3.0, 3"})))
        assert put_together(remote(server.host), ["3.0", "3"]) == set()


def test_a_registry_that_closes_the_connection_at_tags_beside_a_digest_wrote_none(remote: Open) -> None:
    with ModelRegistry(tags_at_once=10) as server:
        server.intercept(on("PUT", "/sha256:", Response(drop=True)))
        assert put_together(remote(server.host), ["3.0", "3"]) == set()


@pytest.mark.parametrize(("tags", "tried"), [(8, False), (9, True)])
def test_registries_derived_from_docker_s_get_tags_in_one_request_only_when_there_are_many(
    remote: Open, model: ModelRegistry, tags: int, tried: bool
) -> None:
    found = remote(model.host)
    assert found.digest(V1)
    assert put_together(found, [f"3.{n}" for n in range(tags)]) == set()
    assert (model.requests[-1].method == "PUT") is tried


@pytest.mark.parametrize("auth", [Basic("ann", CANARY), Bearer("ann", CANARY), Bearer("ann", "x", identity_token="y")])
def test_nothing_is_allowed_without_credentials(remote: Open, auth: Basic | Bearer) -> None:
    with ModelRegistry(auth=auth) as server:
        found = remote(server.host)
        for ask in (found.tags, lambda: found.digest(V1), lambda: found.manifest(V1), lambda: found.remove(V1)):
            with pytest.raises(Denied, match=f"run docker login {server.host}") as caught:
                ask()
            assert caught.value.exit_code == 3


def test_a_token_with_fewer_rights_than_requested_is_denied(remote: Open) -> None:
    auth = Bearer("ann", CANARY, grants=frozenset({"pull"}))
    with ModelRegistry(auth=auth) as server:
        server.seed(PATH, {V1: b"one"})
        found = remote(server.host, credential=ANN)
        assert found.digest(V1) == digest_of(ONE)
        issued = auth.issued
        with pytest.raises(Denied, match=r"does not let you write latest in .* lacks the right to push") as caught:
            found.put(LATEST, Manifest.of(DOCKER_MANIFEST, ONE))
        assert_hidden(caught.value)
        with pytest.raises(Denied, match="does not let you delete"):
            found.remove(V1)
        assert auth.issued - issued <= 3
        assert list(server.repositories[PATH]) == [V1]


def test_a_token_that_expires_between_requests_is_renewed(remote: Open) -> None:
    auth = Bearer("ann", CANARY)
    with ModelRegistry(auth=auth) as server:
        server.seed(PATH, {V1: b"one"})
        found = remote(server.host, credential=ANN)
        found.tags()
        auth.tokens.clear()
        found.put(LATEST, Manifest.of(DOCKER_MANIFEST, ONE))
        assert (server.repositories[PATH][LATEST], auth.issued) == (digest_of(ONE), 2)


# Removing


@pytest.mark.parametrize("deletes", ["tag", "digest"])
@pytest.mark.parametrize("auth", [None, Basic("ann", CANARY), Bearer("ann", CANARY)])
def test_a_tag_is_removed_alone(remote: Open, deletes: Literal["tag", "digest"], auth: Basic | Bearer | None) -> None:
    with ModelRegistry(deletes=deletes, auth=auth) as server:
        before = server.seed(PATH, {V2: b"two", "2.1": b"two", "2": b"two", LATEST: b"two"})
        remote(server.host, credential=ANN).remove(LATEST)
        del before[LATEST]
        assert server.repositories[PATH] == before


@pytest.mark.parametrize("deletes", ["tag", "digest"])
def test_removing_a_missing_tag_succeeds(remote: Open, deletes: Literal["tag", "digest"]) -> None:
    with ModelRegistry(deletes=deletes) as server:
        before = server.seed(PATH, {V2: b"two"})
        remote(server.host).remove(LATEST)
        assert server.repositories[PATH] == before


def test_a_tag_stays_where_it_was_if_deletes_are_off(remote: Open) -> None:
    with ModelRegistry(deletes="off") as server:
        before = server.seed(PATH, {V2: b"two", LATEST: b"two"})
        with pytest.raises(
            Refused, match=r"has deletes switched off, so nothing is removed from gallery/ui: switch them on"
        ):
            remote(server.host).remove(LATEST)
        assert server.repositories[PATH] == before
        assert "PUT" not in {request.method for request in server.requests}


@pytest.mark.parametrize("probe", [Response(405), Response(400), Response(403), Response(500), Response(202)])
def test_a_tag_is_not_risked_unless_the_probe_succeeds(remote: Open, model: ModelRegistry, probe: Response) -> None:
    before = dict(model.repositories[PATH])
    model.intercept(on("DELETE", "/sha256:", probe))
    with pytest.raises(TaggerError):
        remote(model.host).remove(LATEST)
    assert model.repositories[PATH] == before


NO_SUCH_ROUTE = [
    Response(404, b"404 page not found\n", {"Content-Type": "text/plain"}),
    Response(404, b"<html>not found</html>", {"Content-Type": "text/html"}),
    Response(404),
    refusal(404, "UNSUPPORTED", "no"),
    Response(501),
    as_json(404, {"message": "no"}),
]


@pytest.mark.parametrize("answer", NO_SUCH_ROUTE)
def test_nothing_is_deleted_unless_the_registry_names_an_unknown_manifest(
    remote: Open, model: ModelRegistry, answer: Response
) -> None:
    before = dict(model.repositories[PATH])
    model.intercept(on("DELETE", "/manifests/", answer))
    found = remote(model.host)
    with pytest.raises(Refused, match=r"does not delete through the registry API, .*: use its own page or tool"):
        found.remove(LATEST)
    with pytest.raises(RegistryError, match="failed to delete latest"):
        found.deleting.delete(LATEST)
    assert model.repositories[PATH] == before
    assert "PUT" not in {request.method for request in model.requests}


@pytest.mark.parametrize("code", ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"])
def test_a_404_that_names_an_unknown_manifest_shows_that_single_tags_can_be_deleted(
    remote: Open, model: ModelRegistry, code: str
) -> None:
    model.intercept(on("DELETE", "/manifests/", refusal(404, code, "unknown")))
    found = remote(model.host)
    assert found.deleting.takes_single_tags()
    found.deleting.delete(LATEST)


@pytest.mark.parametrize("status", [403, 405, 412])
def test_an_immutable_tag_is_not_deleted_and_is_reported(remote: Open, model: ModelRegistry, status: int) -> None:
    model.intercept(on("DELETE", f"/{LATEST}$", refusal(status, "PRECONDITION", "'ui:latest' configured as immutable")))
    with pytest.raises(Immutable, match=r"delete latest .*configured as immutable.*: keep it, or exempt it from"):
        remote(model.host).deleting.delete(LATEST)


def test_an_immutable_tag_does_not_become_a_placeholder(remote: Open, model: ModelRegistry) -> None:
    before = dict(model.repositories[PATH])
    model.intercept(on("PUT", f"/{LATEST}$", refusal(412, "PRECONDITION", "'ui:latest' configured as immutable")))
    with pytest.raises(Immutable, match=r"does not let you delete latest .*configured as immutable.*: keep it"):
        remote(model.host).remove(LATEST)
    assert model.repositories[PATH] == before


def test_a_missing_right_to_delete_is_reported_without_docker_login(remote: Open, model: ModelRegistry) -> None:
    before = dict(model.repositories[PATH])
    model.intercept(on("DELETE", "/manifests/", refusal(403, "DENIED", "no")))
    with pytest.raises(
        Denied, match=r"let you delete tags in gallery/ui .*: ask for the right to delete, or use its own"
    ):
        remote(model.host).remove(LATEST)
    assert model.repositories[PATH] == before


def test_a_locked_repository_deletes_nothing_and_the_reason_is_shown(remote: Open, model: ModelRegistry) -> None:
    model.intercept(on("DELETE", "/manifests/", refusal(405, "REGISTRY_DISALLOWED_OPERATION", "disallowed")))
    with pytest.raises(Immutable, match=r"REGISTRY_DISALLOWED_OPERATION.*: keep it, or exempt it from"):
        remote(model.host).deleting.takes_single_tags()


@pytest.mark.parametrize(
    ("host", "page"),
    [
        ("ghcr.io", "the package's page on GitHub"),
        ("docker.io", "https://hub.docker.com"),
        ("012345678901.dkr.ecr.eu-west-1.amazonaws.com", "aws ecr"),
    ],
)
def test_a_registry_without_deletes_is_reported_with_the_place_to_delete(
    monkeypatch: pytest.MonkeyPatch, host: str, page: str
) -> None:
    found = RemoteRepository(Repository.at(Registry(host), PATH), Connection(Registry(host), lambda: None))
    monkeypatch.setattr(Connection, "request", lambda *_, **__: Answer(405, {}, b"", ""))
    with pytest.raises(Refused, match=f"so nothing is removed from {PATH}: use .*{page}"):
        found.deleting.takes_single_tags()


@pytest.mark.parametrize("failure", [Response(500), Response(405), Response(403)])
def test_a_tag_that_cannot_be_removed_is_put_back(remote: Open, model: ModelRegistry, failure: Response) -> None:
    before = dict(model.repositories[PATH])
    held = {f"/v2/{PATH}/manifests/{digest}" for _, digest in model.manifests}

    def fail(request: Request) -> Response | None:
        put_since = {f"/v2/{PATH}/manifests/{digest}" for _, digest in model.manifests} - held
        return failure if request.path in put_since else None

    model.intercept(on("DELETE", "/sha256:", fail))
    with pytest.raises(TaggerError, match="delete latest"):
        remote(model.host).remove(LATEST)
    assert model.repositories[PATH] == before


@pytest.mark.parametrize("deletes", ["tag", "digest"])
def test_a_delete_whose_answer_was_lost_counts_as_done(remote: Open, deletes: Literal["tag", "digest"]) -> None:
    with ModelRegistry(deletes=deletes) as server:
        before = server.seed(PATH, {V2: b"two", LATEST: b"two"})
        lost: set[str] = set()

        def lose_the_first(request: Request) -> Response | None:
            if request.method != "DELETE" or request.path in lost:
                return None
            lost.add(request.path)
            return server.lose_answer(request)

        server.intercept(lose_the_first)
        remote(server.host).remove(LATEST)
        assert server.repositories[PATH] == {V2: before[V2]}


# A real registry


def upload(server: RealRegistry, path: str, blob: bytes) -> None:
    """Put a blob where a registry wants it before it takes a manifest of it."""
    _, headers, _ = server.request("POST", f"/v2/{path}/blobs/uploads/")
    location = headers["location"].removeprefix(f"http://{server.host}")
    assert server.request("PUT", f"{location}&digest={digest_of(blob)}", blob)[0] == 201


def publish(server: RealRegistry, path: str, content: bytes, *tags: str) -> bytes:
    """Publish an image of one layer under every tag, without tagger; give its manifest."""
    for blob in (content, b"config of " + content):
        upload(server, path, blob)
    body = manifest(content)
    for tag in tags:
        assert server.put(path, tag, body, DOCKER_MANIFEST) == 201
    return body


@pytest.mark.engine
def test_a_real_registry_lists_and_shows_what_it_has(remote: Open, registry: RealRegistry, repository: str) -> None:
    found = remote(registry.host, repository)
    assert (found.tags(), found.digest(V2), found.manifest(V2)) == ([], None, None)
    body = publish(registry, repository, b"one", V2, LATEST)
    assert set(found.tags()) == {V2, LATEST}
    assert found.digest(V2) == digest_of(body)
    assert found.manifest(V2) == Manifest.of(DOCKER_MANIFEST, body)
    assert found.manifest(Manifest.of(DOCKER_MANIFEST, body).digest) == found.manifest(LATEST)


@pytest.mark.engine
def test_a_real_registry_keeps_what_is_put_byte_for_byte(remote: Open, registry: RealRegistry, repository: str) -> None:
    body = publish(registry, repository, b"one", V2)
    found = remote(registry.host, repository)
    image = found.manifest(V2)
    assert image
    found.put(LATEST, image)
    assert registry.manifest(repository, LATEST) == body
    assert registry.snapshot(repository) == {V2: digest_of(body), LATEST: digest_of(body)}


@pytest.mark.engine
def test_a_real_registry_keeps_an_index_byte_for_byte(remote: Open, registry: RealRegistry, repository: str) -> None:
    children = {
        "linux/amd64": publish(registry, repository, b"one", "amd64"),
        "linux/arm64": publish(registry, repository, b"two", "arm64"),
    }
    body = index(children)
    assert registry.put(repository, V2, body, OCI_INDEX) == 201
    found = remote(registry.host, repository)
    whole = found.manifest(V2)
    assert whole == Manifest.of(OCI_INDEX, body)
    assert whole.config is None
    found.put(LATEST, whole)
    assert registry.manifest(repository, LATEST) == body
    assert found.digest(LATEST) == registry.digest(repository, LATEST) == digest_of(body)


@pytest.mark.engine
def test_a_tag_is_removed_alone_from_a_real_registry(remote: Open, registry: RealRegistry, repository: str) -> None:
    body = publish(registry, repository, b"one", V2, "2.1", "2", LATEST)
    found = remote(registry.host, repository)
    found.remove(LATEST)
    found.remove(Tag("2"))
    assert registry.snapshot(repository) == {V2: digest_of(body), "2.1": digest_of(body)}
    assert registry.manifest(repository, V2) == body
    assert set(found.tags()) == {V2, "2.1"}


@pytest.mark.engine
def test_the_last_tag_of_a_real_repository_is_removed_too(
    remote: Open, registry: RealRegistry, repository: str
) -> None:
    publish(registry, repository, b"one", V2)
    found = remote(registry.host, repository)
    found.remove(V2)
    found.remove(V2)
    assert (found.tags(), registry.snapshot(repository)) == ([], {})


@pytest.mark.engine
def test_a_real_registry_without_deletes_keeps_the_tag(remote: Open) -> None:
    with private_folder() as folder, RealRegistry.start(folder, deletes=False) as server:
        body = publish(server, PATH, b"one", V2, LATEST)
        with pytest.raises(
            Refused, match=f"{server.host} has deletes switched off, so nothing is removed .*: switch them on"
        ):
            remote(server.host).remove(LATEST)
        assert server.snapshot(PATH) == {V2: digest_of(body), LATEST: digest_of(body)}


@pytest.mark.engine
def test_a_damaged_tag_of_a_real_registry_is_neither_present_nor_absent(
    remote: Open, registry: RealRegistry, repository: str
) -> None:
    body = publish(registry, repository, b"one", V2, LATEST)
    registry.link_file(repository, LATEST).write_bytes(b"")
    found = remote(registry.host, repository)
    with pytest.raises(Unreadable, match=r"failed to read latest .*: try again"):
        found.digest(LATEST)
    found.put(LATEST, Manifest.of(DOCKER_MANIFEST, body))
    assert found.digest(LATEST) == digest_of(body)


@pytest.mark.engine
def test_a_real_registry_asks_for_a_password(remote: Open, tmp_path: Path) -> None:
    with RealRegistry.start(tmp_path, htpasswd={"ann": CANARY}) as server:
        body = publish(server, PATH, b"one", V2)
        assert remote(server.host, credential=ANN).digest(V2) == digest_of(body)
        for credential in (None, Credential("ann", Secret("wrong"))):
            with pytest.raises(Denied, match=f"run docker login {server.host}"):
                remote(server.host, credential=credential).digest(V2)


@pytest.mark.engine
def test_a_real_registry_that_is_restarted_is_found_again(remote: Open, tmp_path: Path) -> None:
    with RealRegistry.start(tmp_path) as server:
        body = publish(server, PATH, b"one", V2)
        found = remote(server.host)
        assert found.digest(V2) == digest_of(body)
        server.restart()
        assert found.digest(V2) == digest_of(body)
        server.stop()
        with pytest.raises(RegistryUnreachable, match=f"no registry answers at {server.host}"):
            found.digest(V2)


# The right to push


def test_the_right_to_push_is_checked_by_a_cancelled_upload(remote: Open) -> None:
    with ModelRegistry() as server:
        given_up = threading.Event()
        server.intercept(on("DELETE", "/uploads/", lambda _: given_up.set()))
        remote(server.host).check_push()
        assert given_up.wait(10)  # by another thread, because the command must not wait for that
        asked = [f"{request.method} {request.path}" for request in server.requests][-2:]
        assert asked == ["POST /v2/gallery/ui/blobs/uploads/", "DELETE /v2/gallery/ui/blobs/uploads/upload-1"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_right_to_push_is_reported_before_anything_is_pushed(remote: Open, status: int) -> None:
    with ModelRegistry() as server:
        server.intercept(on("POST", "/blobs/uploads/", refusal(status, "DENIED", "no push for you")))
        with pytest.raises(Denied, match=r"does not let you push in gallery/ui \(HTTP \d+, DENIED: no push for you\)"):
            remote(server.host).check_push()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(404, "NAME_UNKNOWN", "The repository with name 'gallery/ui' does not exist"), NoRepository),
        (refusal(403, "DENIED", "Quota has been exceeded on namespace"), OverQuota),
        (refusal(405, "REGISTRY_DISALLOWED_OPERATION", "The operation is disallowed"), Immutable),
    ],
)
def test_an_obstacle_to_every_push_is_reported_before_anything_is_pushed(
    remote: Open, answer: Response, error: type[TaggerError]
) -> None:
    with ModelRegistry() as server:
        server.intercept(on("POST", "/blobs/uploads/", answer))
        with pytest.raises(error, match="failed to push in gallery/ui") as caught:
            remote(server.host).check_push()
        assert caught.value.exit_code == 3


@pytest.mark.parametrize("answer", [Response(404), Response(405), Response(500), Response(202), Response(drop=True)])
def test_an_answer_that_says_nothing_about_the_right_to_push_is_left_to_the_push(
    remote: Open, answer: Response
) -> None:
    with ModelRegistry() as server:
        server.intercept(on("POST", "/blobs/uploads/", answer))
        remote(server.host).check_push()
