"""Every parser handles any input: it returns a value that means the same when spelt out, or raises its own error."""

from __future__ import annotations

import contextlib
import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tagger.cli.render.console import say, show
from tagger.cli.render.github import tell_github
from tagger.cli.render.json import as_json
from tagger.credentials.docker import DockerConfig
from tagger.engine.push_stream import pushed_digest
from tagger.errors import InputError, RegistryError, TaggerError
from tagger.image_name import ImageName
from tagger.names import Reference, Registry, Repository, Tag, parse_digest, parse_tag
from tagger.oci.manifest import DOCKER_MANIFEST, OCI_INDEX, Manifest
from tagger.registry import challenge
from tagger.registry.answer import Answer
from tagger.registry.retry_after import seconds_to_wait
from tagger.registry.tag_list import following
from tagger.rules.scheme import Scheme
from tagger.rules.version import parse_version
from tagger.text import hide, one_line, printable

DIGEST = "sha256:" + "0123456789abcdef" * 4
WORDS = [
    "registry.local:5000",
    "gallery/ui",
    "[::1]:5000",
    "localhost",
    DIGEST,
    "2.1.106",
    "v2",
    "latest",
    "-rc.1",
    "+b",
    "-alpine",
]
MARKS = [
    ":",
    "@",
    "/",
    ".",
    "-",
    "_",
    "+",
    "//",
    "..",
    "::",
    " ",
    "\n",
    "\0",
    "%2e",
    "İ",
    "\u0661",
    "\ud800",
    "",
    "0",
    "9" * 300,
]
# Text that is almost valid finds more faults than random text.
nearly = st.lists(st.sampled_from(WORDS + MARKS) | st.text(max_size=3), max_size=8).map("".join)
texts = nearly | st.text()
values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip

PARSERS: dict[str, Callable[[str], object]] = {
    "reference": Reference.parse,
    "repository": Repository.parse,
    "registry": Registry.parse,
    "tag": parse_tag,
    "digest": parse_digest,
    "version": parse_version,
}


@pytest.mark.parametrize("kind", PARSERS)
@given(text=texts)
def test_a_parsed_value_means_the_same_when_written_again(kind: str, text: str) -> None:
    parse = PARSERS[kind]
    with contextlib.suppress(InputError, TaggerError):
        found = parse(text)
        assert parse(str(found)) == found


@pytest.mark.parametrize("kind", PARSERS)
@pytest.mark.parametrize("unit", ["a", "a/", "a.", "1.", "a-", ":", "@", "1.1.1-", "0", "__", "[", "a:1/"])
def test_a_long_text_is_read_to_the_end(kind: str, unit: str) -> None:
    with contextlib.suppress(TaggerError):
        PARSERS[kind](unit * 50_000)


@given(image=texts, registry=texts, repository=texts)
def test_a_target_is_a_repository_or_an_error(image: str, registry: str, repository: str) -> None:
    with contextlib.suppress(TaggerError):
        found = ImageName.parse(image).target(registry, repository)
        assert Repository.parse(str(found)) == found


@given(text=texts)
def test_a_tag_that_reads_as_a_version_is_a_spelling_of_it(text: str) -> None:
    version = Scheme().parse(text)
    assert version is None or text in (str(version), f"v{version}")


pieces = st.sampled_from(
    ["Bearer", "Basic", "realm", "=", '"', ",", " ", "\\", "https://a/t", "scope", "x" * 99, "error"]
)


@given(headers=st.lists(st.lists(pieces | st.text(max_size=2), max_size=12).map("".join), max_size=4))
@example(headers=['Bearer realm="' + "\\" * 1001])
@example(headers=["," * 100_000])
@example(headers=['Bearer realm="' + "a=b," * 20_000])
def test_any_challenge_is_parsed_and_only_bearer_or_basic_is_chosen(headers: list[str]) -> None:
    for found in challenge.parse(headers):
        assert found.scheme == found.scheme.lower()
    chosen = challenge.choose(headers)
    assert chosen is None or chosen.scheme in ("bearer", "basic")


links = st.lists(
    st.sampled_from(["<", ">", ";", ",", 'rel="next"', "rel=next", "/v2/x", " ", "http://h/"]), max_size=12
).map("".join)


@given(text=links | st.text())
@example(text="<" * 100_000)
@example(text="<>" * 50_000)
@example(text='<a>; rel="' + "n" * 100_000)
def test_every_link_is_followed_or_refused(text: str) -> None:
    path = "/v2/x/tags/list"
    try:
        found = following(Answer(200, {"link": text}, b"", f"http://registry.local:5000{path}"), path)
    except RegistryError:
        return
    assert found is None or path in found


@given(
    text=st.text()
    | st.integers().map(str)
    | st.sampled_from(["Wed, 21 Oct 9999 07:28:00 GMT", "Mon, 0 Foo 1", "²", "1e9", "9" * 999 + "h"])
)
def test_a_wait_has_bounds(text: str) -> None:
    assert 0 <= seconds_to_wait(text, time.time()) <= 30


aux = st.fixed_dictionaries({}, optional={"Tag": st.just("2.1.106") | values, "Digest": st.just(DIGEST) | values})
status = st.just(f"2.1.106: digest: {DIGEST} size: 7")
error = st.fixed_dictionaries({"message": values})
message = st.fixed_dictionaries(
    {},
    optional={"status": status | values, "aux": aux | values, "error": values, "errorDetail": error | values},
)


@given(messages=st.lists(values | message, max_size=6))
def test_a_push_names_its_digest_or_proves_nothing(messages: list[object]) -> None:
    with contextlib.suppress(TaggerError):
        assert parse_digest(pushed_digest(messages, Tag("2.1.106")))


@given(body=st.binary() | values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_as_a_manifest(body: bytes) -> None:
    for media_type in (DOCKER_MANIFEST, OCI_INDEX):
        found = Manifest.of(media_type, body)
        assert found.body == body
        assert all(parse_digest(child) == child for child in found.children())


@given(
    content=st.dictionaries(
        st.sampled_from(["auths", "credHelpers", "credsStore", "HttpHeaders", "currentContext"]), values
    )
)
def test_any_configuration_is_read_or_reported(
    content: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Path(tmp_path_factory.getbasetemp(), "fuzzed")
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content))
    with contextlib.suppress(TaggerError):
        DockerConfig.load({"DOCKER_CONFIG": str(folder)}).http_headers  # noqa: B018 - reading is what may fail


# -- what is shown -------------------------------------------------------------------------------------------------

COMMANDS = re.compile(r"##\[|##[a-z]+\[|^\s*::.*::")
"""How GitHub (both ways), Azure and TeamCity find a command in a line."""

orders = st.lists(
    st.sampled_from(
        ["#", "##", "[error]", "vso[task.complete]", "teamcity[x]", "::", ":", "error", " ", "\n", "\x1b[2J"]
    )
    | st.characters(categories=["Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"])
    | st.text(max_size=2),
    max_size=10,
).map("".join)


@given(text=orders | st.text(), limit=st.integers(1, 50))
@example(text="###vso[task.complete]", limit=50)
@example(text="#####[error]x", limit=50)
@example(text="  ::error::x", limit=50)
def test_shown_text_is_one_bounded_line_without_terminal_commands(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    assert not COMMANDS.search(shown)


@given(text=orders | st.text())
def test_text_that_is_safe_to_show_is_not_escaped_twice(text: str) -> None:
    assert one_line(one_line(text)) == one_line(text)
    assert one_line(printable(text)) == printable(text)


@given(texts=st.lists(orders, max_size=4))
def test_a_message_is_one_line_without_terminal_commands(texts: list[str]) -> None:
    with contextlib.redirect_stderr(io.StringIO()) as told:
        say("".join(texts))
    (line,) = told.getvalue().split("\n")[:-1]
    assert line.isprintable()
    assert not COMMANDS.search(line)


@given(lines=st.lists(orders, min_size=1, max_size=4))
def test_printed_text_has_only_its_own_line_breaks_and_no_terminal_commands(lines: list[str]) -> None:
    text = "\n".join(lines)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        show(text)
    found = printed.getvalue().split("\n")[:-1]
    assert len(found) == (len(text.split("\n")) if text else 0)
    assert all(line.isprintable() and not COMMANDS.search(line) for line in found)


@given(text=orders, kind=st.sampled_from(["error", "warning"]))
def test_an_annotation_is_the_only_command_in_its_line(text: str, kind: str) -> None:
    with contextlib.redirect_stderr(io.StringIO()) as told:
        tell_github(kind, text)
    (line,) = told.getvalue().split("\n")[:-1]
    assert line.isprintable()
    assert not COMMANDS.search(line.removeprefix(f"::{kind} title=tagger::"))


@given(values=st.recursive(orders, lambda inner: st.lists(inner) | st.dictionaries(orders, inner), max_leaves=6))
def test_safe_json_means_the_same_and_has_no_terminal_commands(values: object) -> None:
    text = as_json({"x": values})
    assert json.loads(text) == json.loads(json.dumps({"x": values})), "JSON joins two halves of a surrogate pair"
    assert not any(COMMANDS.search(line) for line in text.split("\n"))
    assert text.split("\n") == [*map(one_line, text.split("\n"))]


secrets = st.text("abc", min_size=4, max_size=8)


@given(hidden=st.lists(secrets, min_size=1, max_size=4), between=st.lists(st.text("abc-", max_size=6), max_size=3))
@example(hidden=["password", "password-of-gallery"], between=["password-of-gallery"])
@example(hidden=["abcabc", "cabcab"], between=["abcabcab"])
def test_no_part_of_overlapping_secrets_is_shown(hidden: list[str], between: list[str]) -> None:
    text = "-".join([*between, *hidden])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tagger.text._hidden", {})
        for secret in hidden:
            hide(secret)
        shown = printable(text)
    left = [*text]
    for secret in hidden:
        for at in range(len(text)):
            if text.startswith(secret, at):
                left[at : at + len(secret)] = [""] * len(secret)
    assert shown.replace("***", "") == "".join(left)


HOSTS = ["registry.local", "registry.local:5000", "127.0.0.1:2375", "[::1]:3128"]


@given(
    user=st.text("ab:%2", min_size=1, max_size=8),
    password=st.text("xyz:@%/", max_size=8),
    host=st.sampled_from(HOSTS),
    scheme=st.sampled_from(["https:", "tcp:", "ssh:", ""]),
)
def test_no_url_is_shown_with_user_or_password(user: str, password: str, host: str, scheme: str) -> None:
    for quote in ("'", ""):
        text = f"no answer from {quote}{scheme}//{user}:w{password}@{host}/v2/{quote}: see there"
        assert printable(text) == f"no answer from {quote}{scheme}//{host}/v2/{quote}: see there"


@pytest.mark.parametrize(
    "text", ["https://registry.local:5000/gallery@sha256:0", "registry.local//x@sha256:0", "a@b//c"]
)
def test_an_at_sign_outside_of_a_url_is_shown(text: str) -> None:
    assert printable(text) == text
