"""A name means the same to tagger as to Docker; tagger refuses other names, and says what to do next."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tagger.errors import InvalidReference, Refused
from tagger.image_name import ImageName
from tagger.names import (
    DOCKER_HUB,
    Reference,
    Registry,
    Repository,
    is_loopback,
    parse_digest,
    parse_tag,
)

DATA = Path(__file__).parents[1] / "data"
REFERENCES: dict[str, list[Any]] = json.loads((DATA / "references.json").read_text())
TAGS: dict[str, list[str]] = json.loads((DATA / "tags.json").read_text())
HEX = "86e0e091d0da6bde2456dbb48306f3956bbeb2eae1b5b9a43045843f69fe4aaa"
DIGEST = f"sha256:{HEX}"


def rows(table: str, *, failing: bool = False) -> list[Any]:
    found = [row for row in REFERENCES[table] if ("error" in row) == failing]
    assert found, f"the table {table} has such rows"
    return found


def name_of(row: Any) -> str:
    return str(row.get("input", row.get("full")) if isinstance(row, dict) else row)[:60]


# -- the tables of Docker's own parser -----------------------------------------------------------------------------


@pytest.mark.parametrize("row", rows("parse"), ids=name_of)
def test_a_reference_is_parsed_as_docker_does(row: dict[str, str]) -> None:
    found = Reference.parse(row["input"])
    assert (found.tag, found.digest) == (row["tag"], row["digest"])
    assert str(found.repository) in (
        row["repository"],
        f"docker.io/{row['repository']}",
        f"docker.io/library/{row['repository']}",
    )


@pytest.mark.parametrize("row", rows("parse", failing=True), ids=name_of)
def test_a_text_that_docker_refuses_is_not_a_reference(row: dict[str, str]) -> None:
    with pytest.raises(InvalidReference):
        Reference.parse(row["input"])


@pytest.mark.parametrize("row", rows("name_errors", failing=True), ids=name_of)
def test_a_name_that_docker_refuses_is_not_a_repository(row: dict[str, str]) -> None:
    with pytest.raises(InvalidReference):
        Repository.parse(row["input"])


@pytest.mark.parametrize("row", rows("domain_and_path") + rows("parse_named") + rows("normalized_split"), ids=name_of)
def test_a_repository_is_split_at_its_registry_as_docker_does(row: dict[str, str | None]) -> None:
    found = Repository.parse(str(row["input"]))
    assert (found.registry.host, found.path) == (row["domain"] or DOCKER_HUB, row["path"])


@pytest.mark.parametrize("row", rows("parse_named", failing=True), ids=name_of)
def test_a_short_name_is_expanded(row: dict[str, str]) -> None:
    short = row["input"].removeprefix("docker.io/")
    assert str(Repository.parse(row["input"])) in (f"docker.io/{short}", f"docker.io/library/{short}")


@pytest.mark.parametrize("text", REFERENCES["normalized_valid"], ids=name_of)
def test_every_name_that_docker_accepts_is_a_repository(text: str) -> None:
    assert str(Repository.parse(str(Reference.parse(text).repository))) == str(Reference.parse(text).repository)


@pytest.mark.parametrize("text", REFERENCES["normalized_invalid"], ids=name_of)
def test_no_name_that_docker_refuses_is_a_repository(text: str) -> None:
    with pytest.raises(InvalidReference):
        Repository.parse(text)


@pytest.mark.parametrize("row", REFERENCES["repository_info"], ids=name_of)
def test_all_spellings_of_a_repository_are_equal(row: dict[str, str]) -> None:
    spellings = [row[form] for form in ("familiar", "full", "ambiguous") if row[form]]
    assert {Repository.parse(text) for text in spellings} == {Repository(Registry(row["domain"]), row["path"])}


@pytest.mark.parametrize("row", REFERENCES["any_reference"] + REFERENCES["normalized"], ids=name_of)
def test_a_reference_is_shown_normalised_and_an_image_id_is_not_a_reference(row: dict[str, str]) -> None:
    if row["expected"].startswith("sha256:"):
        assert ImageName.parse(row["input"]).reference is None
        with pytest.raises(InvalidReference, match="--repository"):
            Reference.parse(row["input"])
    else:
        assert ImageName.parse(row["input"]).reference
        assert str(Reference.parse(row["input"])) == row["expected"]


@pytest.mark.parametrize("row", REFERENCES["docker_ref"], ids=name_of)
def test_a_reference_names_the_repository_that_docker_would_pull(row: dict[str, str]) -> None:
    found, expected = Reference.parse(row["input"]), Reference.parse(row["expected"])
    assert (found.repository, found.digest) == (expected.repository, expected.digest)
    assert found.tag in (expected.tag, None) or expected.digest


# -- tags and digests ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TAGS["valid"])
def test_a_valid_tag_is_taken_unchanged(text: str) -> None:
    assert parse_tag(text) == text


@pytest.mark.parametrize("text", TAGS["invalid"], ids=repr)
def test_an_invalid_tag_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse_tag(text)


def test_a_tag_has_at_most_128_characters() -> None:
    assert len(parse_tag("a" * 128)) == 128
    with pytest.raises(InvalidReference, match="has 129 characters: shorten it to at most 128"):
        parse_tag("a" * 129)


@pytest.mark.parametrize("text", [DIGEST, f"sha384:{'a' * 96}", f"sha512:{'0' * 128}"])
def test_a_digest_of_an_algorithm_that_docker_knows_is_taken_unchanged(text: str) -> None:
    assert parse_digest(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEX,
        "sha256:",
        DIGEST[:-1],
        f"{DIGEST}0",
        f"{DIGEST}\n",
        f" {DIGEST}",
        DIGEST.upper(),
        f"sha256:{HEX.upper()}",
        f"sha512:{HEX}",
        f"md5:{'0' * 32}",
        f"sha256:{'g' * 64}",
        f"sha256:{'٣' * 64}",
    ],
)
def test_an_impossible_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference, match="sha256:<64 hexadecimal digits>"):
        parse_digest(text)


# -- registries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "hostname", "api_host"),
    [
        ("registry.local:5000", "registry.local", "registry.local:5000"),
        ("registry.local", "registry.local", "registry.local"),
        ("localhost", "localhost", "localhost"),
        ("registry:5000", "registry", "registry:5000"),
        ("127.0.0.1:5000", "127.0.0.1", "127.0.0.1:5000"),
        ("[::1]:5000", "::1", "[::1]:5000"),
        ("[::1]", "::1", "[::1]"),
        ("Registry", "Registry", "Registry"),
        ("docker.io", "docker.io", "registry-1.docker.io"),
    ],
)
def test_a_registry_is_a_host_with_or_without_a_port(text: str, hostname: str, api_host: str) -> None:
    found = Registry.parse(text)
    assert (str(found), found.hostname, found.api_host) == (text, hostname, api_host)


def test_the_old_name_of_docker_hub_is_docker_hub() -> None:
    assert Registry.parse("index.docker.io") == Registry.parse("docker.io")
    assert Registry.parse("docker.io").is_docker_hub


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://registry.local:5000", "is a URL: give the host and port alone"),
        ("registry.local:5000/gallery", "is not a registry: give HOST or HOST:PORT"),
        ("registry.local/", "is not a registry: give HOST or HOST:PORT"),
        ("registry.local:", "is not a registry: give HOST or HOST:PORT"),
        ("registry.local:http", "is not a registry: give HOST or HOST:PORT"),
        ("user@registry.local", "cannot contain a user or password: use docker login"),
        ("https://user:secret@registry.local", "cannot contain a user or password: use docker login"),
        ("::1", "is not a registry: give HOST or HOST:PORT"),
        ("-registry.local", "is not a registry: give HOST or HOST:PORT"),
        ("registry.local\n", "is not a registry: give HOST or HOST:PORT"),
        ("registry..local", "is not a registry: give HOST or HOST:PORT"),
        ("", "is not a registry: give HOST or HOST:PORT"),
        ("registry", "write registry:PORT or the full host name"),
    ],
)
def test_an_invalid_registry_is_refused_with_the_right_form(text: str, said: str) -> None:
    with pytest.raises(InvalidReference, match=said) as refusal:
        Registry.parse(text)
    assert "secret" not in str(refusal.value)


def test_only_an_address_is_loopback_without_asking_a_resolver() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("127.8.9.10")
    assert is_loopback("::1")
    assert not any(map(is_loopback, ("localhost", "registry.local", "10.0.0.1", "127.0.0.1.example.com", "")))


# -- where a release goes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "registry", "repository", "expected"),
    [
        ("image-gallery", "registry.local:5000", "gallery/ui", "registry.local:5000/gallery/ui"),
        ("image-gallery", "registry.local:5000", None, "registry.local:5000/image-gallery"),
        ("image-gallery:build-77", "registry.local:5000", None, "registry.local:5000/image-gallery"),
        ("registry.local:5000/gallery/ui", None, None, "registry.local:5000/gallery/ui"),
        ("registry.local:5000/gallery/ui:build-77", None, None, "registry.local:5000/gallery/ui"),
        (f"registry.local:5000/gallery/ui@{DIGEST}", None, None, "registry.local:5000/gallery/ui"),
        ("registry.local:5000/gallery/ui", "localhost:5001", None, "localhost:5001/gallery/ui"),
        ("registry.local:5000/gallery/ui", None, "team/app", "registry.local:5000/team/app"),
        ("team/app", None, None, "docker.io/team/app"),
        ("team/app", "docker.io", None, "docker.io/team/app"),
        ("image-gallery", None, "team/app", "docker.io/team/app"),
        ("index.docker.io/team/app", None, None, "docker.io/team/app"),
        ("library/redis", "registry.local:5000", None, "registry.local:5000/redis"),
        ("docker.io/library/redis", "registry.local:5000", None, "registry.local:5000/redis"),
        ("library/foo/bar", "registry.local:5000", None, "registry.local:5000/library/foo/bar"),
        ("registry.local:5000/library/redis", None, None, "registry.local:5000/library/redis"),
        ("image-gallery", "registry.local:5000", "library/redis", "registry.local:5000/library/redis"),
        (HEX, "registry.local:5000", "gallery/ui", "registry.local:5000/gallery/ui"),
        (DIGEST, "registry.local:5000", "gallery/ui", "registry.local:5000/gallery/ui"),
        (DIGEST, None, "team/app", "docker.io/team/app"),
        (DIGEST[:19], None, "team/app", "docker.io/team/app"),
    ],
)
def test_a_release_goes_where_the_options_say_and_otherwise_where_the_image_says(
    image: str, registry: str | None, repository: str | None, expected: str
) -> None:
    assert str(ImageName.parse(image).target(registry, repository)) == expected


@pytest.mark.parametrize(
    ("image", "registry", "repository"),
    [
        ("redis", None, None),
        ("redis:7", None, None),
        ("library/redis", None, None),
        ("docker.io/library/redis", None, None),
        ("index.docker.io/redis", None, None),
        ("redis", "docker.io", None),
        ("registry.local:5000/redis", "docker.io", None),
        ("team/app", None, "redis"),
        ("team/app", None, "library/redis"),
        (DIGEST, "index.docker.io", "library/redis"),
    ],
)
def test_docker_hubs_own_images_are_refused_with_the_reason(
    image: str, registry: str | None, repository: str | None
) -> None:
    with pytest.raises(Refused) as refusal:
        ImageName.parse(image).target(registry, repository)
    assert str(refusal.value) == (
        "docker.io/library/redis belongs to Docker's official images, so you cannot push there: choose your own with"
        " --repository USER/redis, or another registry with --registry"
    )


def test_a_longer_path_below_library_is_docker_hubs_own_too() -> None:
    with pytest.raises(Refused, match="library/foo/bar belongs to Docker's official images"):
        ImageName.parse("library/foo/bar").target()


@pytest.mark.parametrize("image", [HEX, DIGEST, DIGEST[:19]])
@pytest.mark.parametrize("registry", [None, "registry.local:5000"])
def test_an_image_id_needs_a_repository(image: str, registry: str | None) -> None:
    with pytest.raises(InvalidReference, match="is an image ID and names no repository: choose one with --repository"):
        ImageName.parse(image).target(registry)


@pytest.mark.parametrize(
    ("image", "registry", "repository", "said"),
    [
        ("Gallery", "registry.local:5000", None, "it must be lower case, such as 'gallery'"),
        ("image-gallery", "registry.local:5000", "Gallery/UI", "it must be lower case, such as 'gallery/ui'"),
        ("image-gallery", "registry.local:5000", "../volumes/victim", "a name cannot contain '..'"),
        ("registry.local:5000/../volumes", None, None, "a name cannot contain '..'"),
        ("../volumes/victim", None, None, "'..' is not a host: write HOST/NAME or HOST:PORT/NAME"),
        ("https://registry.local/gallery", None, None, "'https:' is not a host: write HOST/NAME or HOST:PORT/NAME"),
        ("", None, None, "give one such as gallery/ui"),
        (":2.1", None, None, "give one such as gallery/ui"),
        ("registry.local:5000/", None, None, "give one such as gallery/ui"),
        ("image-gallery", "registry.local:5000", "", "give one such as gallery/ui"),
        ("image-gallery", None, "", "give one such as gallery/ui"),
        ("image-gallery", "", "gallery/ui", "give HOST or HOST:PORT"),
        ("image-gallery", "registry.local:5000", "gallery/ui:2.1", "give it alone, without registry, tag or digest"),
        ("image-gallery", None, "registry.local:5000/gallery/ui", "give it alone, without registry, tag or digest"),
        ("image-gallery", "registry.local:5000", f"gallery@{DIGEST}", "give it alone, without registry, tag or digest"),
        ("image-gallery", "registry.local:5000", HEX + "/", "use lower-case letters and digits"),
        ("image-gallery", "registry.local:5000", "gallery//ui", "use lower-case letters and digits"),
        ("image-gallery", "registry.local:5000", "gallery/ui ", "use lower-case letters and digits"),
        ("image-gallery", "registry.local:5000", "gállery", "use lower-case letters and digits"),
        ("image-gallery:", None, "team/app", "is not a tag: use letters, digits"),
        ("image-gallery@", None, "team/app", "is not a digest: it looks like sha256:"),
        ("--help", "registry.local:5000", None, "use lower-case letters and digits"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_with_the_next_step(
    image: str, registry: str | None, repository: str | None, said: str
) -> None:
    with pytest.raises(InvalidReference) as refusal:
        ImageName.parse(image).target(registry, repository)
    assert said in str(refusal.value)


def test_a_repository_argument_names_no_single_image() -> None:
    for text in ("gallery/ui:2.1", f"gallery/ui@{DIGEST}"):
        with pytest.raises(InvalidReference, match="give the repository alone, without tag or digest"):
            Repository.parse(text)


def test_a_tagged_repository_is_a_reference_again() -> None:
    repository = Repository.parse("registry.local:5000/gallery/ui")
    assert Reference.parse("registry.local:5000/gallery/ui:2.1") == repository.tagged(parse_tag("2.1"))


# -- what every name must stand --------------------------------------------------------------------------------------

PARSERS: list[Callable[[str], object]] = [
    parse_tag,
    parse_digest,
    Registry.parse,
    Repository.parse,
    Reference.parse,
    lambda text: ImageName.parse("image-gallery").target(text, "gallery/ui"),
    lambda text: ImageName.parse("image-gallery").target("registry.local:5000", text),
]


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("stray", ["\n", "\r", "\0", "\x1b[2J", "\t", " ", "\u202e", "\u2028", "\u0661", "é", "\ud800"])
@pytest.mark.parametrize("where", ["{}a/b", "a/{}b", "a/b{}", "a/b:c{}"])
def test_a_stray_character_is_refused_and_never_shown_raw(
    parse: Callable[[str], object], stray: str, where: str
) -> None:
    with pytest.raises((InvalidReference, Refused)) as refusal:
        parse(where.format(stray))
    message = str(refusal.value)
    assert all(c.isprintable() for c in message)
    assert message.encode()


@pytest.mark.parametrize("host", ["registry.local:5000", "docker.io"])
def test_a_path_has_at_most_255_characters_whatever_the_registry(host: str) -> None:
    registry = Registry.parse(host)
    longest = f"team/{'a' * 250}"
    assert Repository.parse(f"{host}/{longest}") == Repository.at(registry, longest)
    with pytest.raises(InvalidReference, match="has 256 characters: shorten it to at most 255"):
        Repository.parse(f"{host}/{longest}a")


def test_the_library_that_docker_adds_counts_towards_the_length() -> None:
    assert len(Repository.parse("a" * 247).path) == 255
    with pytest.raises(InvalidReference, match="at most 255"):
        Repository.parse("a" * 248)


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "unit", ["a-", "a.", "a_", "a/", "-", "_", "a", "1", "a:", "a@", "[:", "a-a.", "aa-/", "/", "é"]
)
@pytest.mark.parametrize("end", ["", "!", "/A"])
def test_bad_input_is_refused_fast_with_a_short_error(parse: Callable[[str], object], unit: str, end: str) -> None:
    before = time.process_time()
    with pytest.raises((InvalidReference, Refused)) as refusal:
        parse(unit * 30_000 + end)
    assert time.process_time() - before < 1
    assert len(str(refusal.value)) < 1_000
