"""A 401 says how to authenticate: every form that RFC 9110 allows can be read, and no nonsense breaks the parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.registry.challenge import Challenge, choose, parse


@pytest.mark.parametrize(
    ("headers", "challenges"),
    [
        ([], []),
        ([""], []),
        (["Basic"], [Challenge("basic")]),
        (['Basic realm="simple"'], [Challenge("basic", {"realm": "simple"})]),
        (["basic Realm=bare"], [Challenge("basic", {"realm": "bare"})]),
        (['BASIC  realm = "spaced"'], [Challenge("basic", {"realm": "spaced"})]),
        (['Basic realm=""'], [Challenge("basic", {"realm": ""})]),
        ([r'Basic realm="a \"quoted\" \\ realm"'], [Challenge("basic", {"realm": r'a "quoted" \ realm'})]),
        (['Basic realm="one", charset="UTF-8"'], [Challenge("basic", {"realm": "one", "charset": "UTF-8"})]),
        (['Basic realm="first", realm="second"'], [Challenge("basic", {"realm": "first"})]),
        # commas and names of schemes inside quotes are text
        (
            ['Bearer realm="https://auth.local/token",service="a, Basic b",scope="repository:a:pull,push"'],
            [
                Challenge(
                    "bearer",
                    {"realm": "https://auth.local/token", "service": "a, Basic b", "scope": "repository:a:pull,push"},
                )
            ],
        ),
        # several challenges in one header, and several headers
        (
            ['Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"'],
            [
                Challenge("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}),
                Challenge("basic", {"realm": "simple"}),
            ],
        ),
        (["Negotiate", 'Basic realm="r"'], [Challenge("negotiate"), Challenge("basic", {"realm": "r"})]),
        (["Negotiate, Basic realm=r"], [Challenge("negotiate"), Challenge("basic", {"realm": "r"})]),
        ([",, ,Basic realm=r,,"], [Challenge("basic", {"realm": "r"})]),
        # a broken challenge does not hide the next one
        (["@@@, Basic realm=r"], [Challenge("basic", {"realm": "r"})]),
        (['Digest nonce="unclosed, Basic realm=r'], [Challenge("digest"), Challenge("basic", {"realm": "r"})]),
        (["realm=nobodys, Basic realm=r"], [Challenge("basic", {"realm": "r"})]),
    ],
)
def test_every_challenge_of_every_header_is_read(headers: list[str], challenges: list[Challenge]) -> None:
    assert parse(headers) == challenges


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        (['Bearer realm="https://a/t"'], "bearer"),
        (['Basic realm="r"'], "basic"),
        (['Basic realm="r", Bearer realm="https://a/t"'], "bearer"),
        (['Basic realm="r"', 'Bearer realm="https://a/t"'], "bearer"),
        (["Negotiate", "NTLM", 'Basic realm="r"'], "basic"),
        (["Negotiate oRQwEqADCgEBoQsGCSqGSIb3EgECAg==, Basic realm=r"], "basic"),
        (["Negotiate", 'Digest realm="r"'], None),
        (['Basicx realm="r"', 'X-Bearer realm="r"'], None),
        ([], None),
    ],
)
def test_bearer_is_preferred_to_basic_and_nothing_else_is_answered(headers: list[str], scheme: str | None) -> None:
    chosen = choose(headers)
    assert (chosen.scheme if chosen else None) == scheme


def test_the_first_of_two_challenges_of_a_scheme_is_answered() -> None:
    chosen = choose(['Bearer realm="https://one/"', 'Bearer realm="https://two/"'])
    assert chosen == Challenge("bearer", {"realm": "https://one/"})


PIECES = st.sampled_from(["Bearer", "Basic", " ", ",", "=", '"', "\\", "realm", "é", "\0", "\t", "@", '="', "a" * 50])


@given(headers=st.lists(st.text() | st.lists(PIECES).map("".join), max_size=5))
def test_no_header_breaks_the_parser(headers: list[str]) -> None:
    assert all(challenge.scheme == challenge.scheme.lower() for challenge in parse(headers))
    assert choose(headers) in [None, *parse(headers)]


TOKEN = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)
VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF))


@given(
    challenges=st.lists(st.tuples(TOKEN, st.dictionaries(TOKEN, VALUE, min_size=1)), max_size=4), joined=st.booleans()
)
def test_every_written_challenge_reads_back(challenges: list[tuple[str, dict[str, str]]], *, joined: bool) -> None:
    def quote(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    written = [
        f"{scheme} {', '.join(f'{name}={quote(value)}' for name, value in parameters.items())}"
        for scheme, parameters in challenges
    ]
    expected = [Challenge(scheme, parameters) for scheme, parameters in challenges]
    assert parse([", ".join(written)] if joined else written) == expected


@pytest.mark.parametrize("piece", [",", "a", "@", '="', '\\"', "a=", 'a="\\', "a\0", " ,", "=,"])
def test_the_longest_header_is_read_to_the_end(piece: str) -> None:
    longest = 65536  # http.client reads this as one line; a parser that rescans it takes minutes
    header = (piece * longest)[:longest] + '\0", Basic realm=r'
    assert choose([header, "Basic realm=s"]) in (Challenge("basic", {"realm": "r"}), Challenge("basic", {"realm": "s"}))
