"""Credentials come from the Docker configuration, only for the right repository, and are never shown."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from clocks import Racing
from fifo import pipe
from hypothesis import given
from hypothesis import strategies as st

from tagger.credentials.credential import Credential, Secret
from tagger.credentials.docker import DockerConfig
from tagger.credentials.helpers import Helpers
from tagger.errors import CredentialsError, TimedOut
from tagger.names import Repository
from tagger.work import Deadline

CANARY = "correct-horse-canary"
HUB_KEY = "https://index.docker.io/v1/"
Found = tuple[str, str] | None
"""A user name and the revealed secret."""


def auth(username: str, password: str = CANARY) -> str:
    """Encode a user and a password as docker login does."""
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def entries(**users: str) -> dict[str, Any]:
    return {key: {"auth": auth(user)} for key, user in users.items()}


def found(config: DockerConfig, repository: str) -> Found:
    credential = config.credential(Repository.parse(repository))
    return (credential.username, credential.secret.reveal()) if credential else None


@pytest.fixture
def configure(tmp_path: Path) -> Callable[[object], DockerConfig]:
    """Write config.json (a value as JSON, a text as it is) and load it."""

    def write(content: object) -> DockerConfig:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "config.json").write_text(text)
        return DockerConfig.load({"DOCKER_CONFIG": str(tmp_path)})

    return write


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Install `docker-credential-test`, a shell script that keeps what it was asked in a file."""

    def install(script: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        asked = tmp_path / "asked"
        program = folder / "docker-credential-test"
        program.write_text(f'#!/bin/sh\n{{ echo "$1"; cat; }} > {asked}\n{script}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        return asked

    return install


# Where a credential is found

REPOSITORY = "registry.local:5000/gallery/ui"


@pytest.mark.parametrize(
    ("repository", "auths", "user"),
    [
        (REPOSITORY, {}, None),
        (REPOSITORY, {"registry.local:5000": "ann"}, "ann"),
        (REPOSITORY, {"registry.local": "ann"}, None),
        (REPOSITORY, {"registry.local:5001": "ann", "other.local:5000": "bob"}, None),
        # a key may be a URL
        (REPOSITORY, {"http://registry.local:5000": "ann"}, "ann"),
        (REPOSITORY, {"https://registry.local:5000/v1/": "ann"}, "ann"),
        (REPOSITORY, {"http://registry.local:5000/v2/": "ann"}, "ann"),
        (REPOSITORY, {"registry.local:5000/v2": "ann"}, "ann"),
        # a key may name a path: the longest wins, and another team's does not apply
        (REPOSITORY, {"registry.local:5000": "ann", "registry.local:5000/gallery": "bob"}, "bob"),
        (REPOSITORY, {"registry.local:5000/gallery/ui": "eve", "registry.local:5000/gallery": "bob"}, "eve"),
        (REPOSITORY, {"registry.local:5000/otherteam": "bob"}, None),
        (REPOSITORY, {"https://registry.local:5000/otherteam": "bob"}, None),
        (REPOSITORY, {"registry.local:5000/gall": "bob"}, None),
        (REPOSITORY, {"registry.local:5000/gallery/ui/more": "bob"}, None),
        (REPOSITORY, {"registry.local:5000/otherteam": "bob", "registry.local:5000": "ann"}, "ann"),
        # Docker Hub has a key of its own
        ("team/app", {HUB_KEY: "ann"}, "ann"),
        ("docker.io/team/app", {"docker.io": "ann"}, "ann"),
        ("team/app", {"https://index.docker.io/v1/": "ann", "docker.io/team": "bob"}, "bob"),
        ("team/app", {"docker.io/otherteam": "bob"}, None),
        (REPOSITORY, {HUB_KEY: "ann"}, None),
    ],
)
def test_an_entry_applies_only_to_its_host_or_its_path(
    repository: str, auths: dict[str, str], user: str | None
) -> None:
    assert found(DockerConfig(auths=entries(**auths)), repository) == ((user, CANARY) if user else None)


@pytest.mark.parametrize(
    ("entry", "credential"),
    [
        ({"auth": auth("ann")}, ("ann", CANARY)),
        ({"auth": auth("ann", "with:colon")}, ("ann", "with:colon")),
        ({"auth": base64.b64encode(b"ann:pass\0\0").decode()}, ("ann", "pass")),
        ({"auth": auth("ann", "pässwörd")}, ("ann", "pässwörd")),
        ({"username": "ann", "password": CANARY}, ("ann", CANARY)),
        ({"auth": "", "username": "ann", "password": CANARY}, ("ann", CANARY)),
        ({"auth": auth("ann"), "identitytoken": "refresh"}, ("", "refresh")),
        ({"auth": auth("ann"), "identitytoken": ""}, ("ann", CANARY)),
        ({"auth": auth("<token>", "refresh")}, ("<token>", "refresh")),
        ({"auth": ""}, None),
        ({}, None),
        # what base64 breaks into lines is one text
        ({"auth": "\n".join((auth("ann")[:5], auth("ann")[5:] + "\n"))}, ("ann", CANARY)),
        ({"auth": "\r\n".join((auth("ann")[:8], auth("ann")[8:] + "\r\n"))}, ("ann", CANARY)),
        # an empty entry has no user
        ({"auth": "Og=="}, None),
        ({"auth": "Og==\n"}, None),
        ({"auth": "\n"}, None),
        ({"auth": auth("", "\0\0")}, None),
        ({"auth": auth("<token>", "")}, None),
        ({"auth": "Og==", "username": "ann", "password": CANARY}, ("ann", CANARY)),
        ({"auth": "Og==", "identitytoken": "refresh"}, ("", "refresh")),
        ({"auth": "%%%", "identitytoken": "refresh"}, ("", "refresh")),
    ],
)
def test_every_form_of_an_entry_is_understood(entry: dict[str, str], credential: Found) -> None:
    assert found(DockerConfig(auths={"registry.local:5000": entry}), REPOSITORY) == credential


@pytest.mark.parametrize(("password", "login"), [(CANARY, "ann"), ("", None), ("\0", None)])
def test_the_password_beside_an_identity_token_is_kept(password: str, login: str | None) -> None:
    entry = {"auth": auth("ann", password), "identitytoken": "refresh"}
    credential = DockerConfig(auths={"registry.local:5000": entry}).credential(Repository.parse(REPOSITORY))
    assert credential
    assert (credential.login.username if credential.login else None) == login


@pytest.mark.parametrize("username", ["", "<token>"])
def test_an_identity_token_is_known_by_its_user_name(username: str) -> None:
    assert Credential(username, Secret("refresh")).is_identity_token
    assert not Credential("ann", Secret(CANARY)).is_identity_token


@pytest.mark.parametrize(
    ("repository", "credential", "config"),
    [
        (
            REPOSITORY,
            Credential("ann", Secret("x")),
            {"username": "ann", "password": "x", "serveraddress": "registry.local:5000"},
        ),
        (
            REPOSITORY,
            Credential("<token>", Secret("x")),
            {"identitytoken": "x", "serveraddress": "registry.local:5000"},
        ),
        ("team/app", Credential("ann", Secret("x")), {"username": "ann", "password": "x", "serveraddress": HUB_KEY}),
    ],
)
def test_the_engine_gets_credentials_in_the_form_of_its_api(
    repository: str, credential: Credential, config: dict[str, str]
) -> None:
    assert credential.for_engine(Repository.parse(repository)) == config


def test_basic_is_user_and_password_in_base64() -> None:
    assert Credential("Aladdin", Secret("open sesame")).basic().reveal() == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


# Which file is read


def test_a_missing_file_means_anonymous(tmp_path: Path) -> None:
    config = DockerConfig.load({"DOCKER_CONFIG": str(tmp_path / "absent")})
    assert (config, found(config, REPOSITORY)) == (DockerConfig(folder=tmp_path / "absent"), None)


def test_without_docker_config_the_home_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": entries(**{"registry.local:5000": "ann"})}))
    assert found(DockerConfig.load({"HOME": str(tmp_path)}), REPOSITORY) == ("ann", CANARY)


def test_an_empty_file_is_an_empty_configuration(configure: Callable[[object], DockerConfig]) -> None:
    assert found(configure(""), REPOSITORY) is None
    assert found(configure({"auths": None, "credHelpers": None, "credsStore": ""}), REPOSITORY) is None


@pytest.mark.parametrize("key", ["registry.local:5000", "https://registry.local:5000/v1/"])
def test_the_environments_entries_override_the_files(tmp_path: Path, key: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"auths": entries(**{key: "file", "other.local": "bob"})}))
    injected = json.dumps({"auths": entries(**{"registry.local:5000": "environment"})})
    config = DockerConfig.load({"DOCKER_CONFIG": str(tmp_path), "DOCKER_AUTH_CONFIG": injected})
    assert found(config, REPOSITORY) == ("environment", CANARY)
    assert found(config, "other.local/gallery/ui") == ("bob", CANARY)


@pytest.mark.parametrize(
    "content",
    [
        '{"auths": {',
        "[]",
        "null",
        '"text"',
        "[" * 100_000,
        '{"auths": [1]}',
        '{"auths": "x"}',
        '{"credHelpers": 1}',
        '{"HttpHeaders": [1]}',
        '{"credsStore": {"a": 1}}',
        '{"currentContext": ["x"]}',
    ],
)
def test_a_broken_file_is_named(configure: Callable[[object], DockerConfig], tmp_path: Path, content: str) -> None:
    with pytest.raises(CredentialsError, match=r"config\.json is not .*: fix it") as caught:
        configure(content)
    assert str(tmp_path / "config.json") in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(CredentialsError, match=r"config\.json cannot be read \(Is a directory\): fix it, or point"):
        DockerConfig.load({"DOCKER_CONFIG": str(tmp_path)})


def test_a_pipe_is_named_and_does_not_block(tmp_path: Path) -> None:
    with (
        pipe(tmp_path / "config.json"),
        pytest.raises(CredentialsError, match=r"config\.json cannot be read \(it is a"),
    ):
        DockerConfig.load({"DOCKER_CONFIG": str(tmp_path)})


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'{"auths": "\xff"}')
    with pytest.raises(CredentialsError, match=r"config\.json cannot be read \(it is not UTF-8\): fix it"):
        DockerConfig.load({"DOCKER_CONFIG": str(tmp_path)})


@pytest.mark.parametrize("text", ["{", "[]", f'{{"auths": "{CANARY}"}}'])
def test_a_broken_variable_is_named_and_not_quoted(tmp_path: Path, text: str) -> None:
    with pytest.raises(CredentialsError, match=r"DOCKER_AUTH_CONFIG is not .*: fix it") as caught:
        DockerConfig.load({"DOCKER_CONFIG": str(tmp_path), "DOCKER_AUTH_CONFIG": text})
    assert_hidden(caught.value)


# Broken entries

BROKEN = [
    {"auth": "%%%"},
    {"auth": "é"},
    {"auth": base64.b64encode(b"no colon").decode()},
    {"auth": base64.b64encode(b"\xff\xfe:x").decode()},
    {"auth": "YW5uOg"},  # not padded
    {"auth": "YW5u Ong="},
    {"auth": "YW5u\tOng="},
    {"auth": "YW5u\u2028Ong="},
    {"auth": 5},
    "text",
    ["list"],
]


@pytest.mark.parametrize("entry", BROKEN)
def test_a_broken_entry_of_our_host_is_named(configure: Callable[[object], DockerConfig], entry: object) -> None:
    config = configure({"auths": {"registry.local:5000": entry}})
    advice = r"entry 'registry.local:5000' of /.*/config.json .*: run docker login registry.local:5000 again"
    with pytest.raises(CredentialsError, match=advice):
        config.credential(Repository.parse(REPOSITORY))


@pytest.mark.parametrize("entry", BROKEN)
def test_a_broken_entry_of_another_host_or_team_does_not_matter(
    configure: Callable[[object], DockerConfig], entry: object
) -> None:
    others = {"other.local": entry, "registry.local:5000/otherteam": entry, HUB_KEY: entry, "": entry, "://": entry}
    config = configure({"auths": {**others, **entries(**{"registry.local:5000": "ann"})}})
    assert found(config, REPOSITORY) == ("ann", CANARY)


def test_a_broken_entry_of_the_environment_is_reported_as_such(tmp_path: Path) -> None:
    injected = json.dumps({"auths": {"registry.local:5000": {"auth": "%%%"}}})
    config = DockerConfig.load({"DOCKER_CONFIG": str(tmp_path), "DOCKER_AUTH_CONFIG": injected})
    with pytest.raises(
        CredentialsError, match=r"entry 'registry.local:5000' of DOCKER_AUTH_CONFIG .*: run docker login"
    ):
        config.credential(Repository.parse(REPOSITORY))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    entry=JSON | st.dictionaries(st.sampled_from(["auth", "identitytoken", "username", "password"]), JSON),
    key=st.sampled_from(["registry.local:5000", "registry.local:5000/gallery"]) | st.text(),
)
def test_every_entry_gives_a_credential_or_a_clear_error(entry: object, key: str) -> None:
    config = DockerConfig(auths={key: entry})
    with contextlib.suppress(CredentialsError):
        credential = config.credential(Repository.parse(REPOSITORY))
        assert credential is None or "***" in repr(credential)


# Helpers

ANSWER = json.dumps({"ServerURL": "registry.local:5000", "Username": "ann", "Secret": CANARY})


@pytest.mark.parametrize(
    ("repository", "config", "server"),
    [
        (REPOSITORY, {"credsStore": "test"}, "registry.local:5000"),
        (REPOSITORY, {"credHelpers": {"registry.local:5000": "test"}}, "registry.local:5000"),
        (REPOSITORY, {"credHelpers": {"registry.local:5000": "test"}, "credsStore": "none"}, "registry.local:5000"),
        (REPOSITORY, {"credHelpers": {"other.local": "none"}, "credsStore": "test"}, "registry.local:5000"),
        (REPOSITORY, {"auths": {"registry.local:5000": {}}, "credsStore": "test"}, "registry.local:5000"),
        ("team/app", {"credsStore": "test"}, HUB_KEY),
        ("team/app", {"credHelpers": {HUB_KEY: "test"}}, HUB_KEY),
    ],
)
def test_a_helper_is_asked_for_the_host(
    configure: Callable[[object], DockerConfig],
    helper: Callable[[str], Path],
    repository: str,
    config: dict[str, Any],
    server: str,
) -> None:
    asked = helper(f"echo '{ANSWER}'")
    assert found(configure(config), repository) == ("ann", CANARY)
    assert asked.read_text() == f"get\n{server}"


def test_a_helper_may_give_an_identity_token(
    configure: Callable[[object], DockerConfig], helper: Callable[[str], Path]
) -> None:
    helper("""echo '{"Username": "<token>", "Secret": "refresh"}'""")
    credential = configure({"credsStore": "test"}).credential(Repository.parse(REPOSITORY))
    assert credential
    assert credential.is_identity_token


def test_an_entry_overrides_the_default_helper(
    configure: Callable[[object], DockerConfig], helper: Callable[[str], Path]
) -> None:
    asked = helper(f"echo '{ANSWER}'")
    config = configure({"auths": entries(**{"registry.local:5000": "bob"}), "credsStore": "test"})
    assert found(config, REPOSITORY) == ("bob", CANARY)
    assert not asked.exists()


@pytest.mark.parametrize("key", ["registry.local:5000", "https://registry.local:5000/v1/"])
def test_the_hosts_own_helper_overrides_its_entry(
    configure: Callable[[object], DockerConfig], helper: Callable[[str], Path], key: str
) -> None:
    helper(f"echo '{ANSWER}'")
    stale = entries(**{"registry.local:5000": "bob", "registry.local:5000/gallery": "eve"})
    assert found(configure({"auths": stale, "credHelpers": {key: "test"}}), REPOSITORY) == ("ann", CANARY)


def test_an_entry_applies_although_another_host_has_a_helper(configure: Callable[[object], DockerConfig]) -> None:
    config = {"auths": entries(**{"registry.local:5000": "bob"}), "credHelpers": {"other.local": "absent"}}
    assert found(configure(config), REPOSITORY) == ("bob", CANARY)


def test_the_hosts_own_helper_that_knows_nothing_means_anonymous(
    configure: Callable[[object], DockerConfig], helper: Callable[[str], Path]
) -> None:
    helper("echo 'credentials not found in native keychain'; exit 1")
    stale = entries(**{"registry.local:5000": "bob"})
    assert found(configure({"auths": stale, "credHelpers": {"registry.local:5000": "test"}}), REPOSITORY) is None


def test_the_environments_entry_overrides_the_hosts_own_helper(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {"registry.local:5000": "absent"}}))
    injected = json.dumps({"auths": entries(**{"registry.local:5000": "environment"})})
    config = DockerConfig.load({"DOCKER_CONFIG": str(tmp_path), "DOCKER_AUTH_CONFIG": injected})
    assert found(config, REPOSITORY) == ("environment", CANARY)


@pytest.mark.parametrize("empty", ["", None])
def test_a_host_with_an_empty_helper_has_only_its_entry(
    configure: Callable[[object], DockerConfig], empty: str | None
) -> None:
    config = {"credHelpers": {"registry.local:5000": empty}, "credsStore": "absent"}
    assert found(configure(config), REPOSITORY) is None
    assert found(configure({**config, "auths": entries(**{"registry.local:5000": "bob"})}), REPOSITORY) == (
        "bob",
        CANARY,
    )


@pytest.mark.parametrize("text", ['{"Username": "", "Secret": ""}', '{"Username": "<token>", "Secret": ""}'])
def test_a_helper_that_gives_an_empty_credential_means_anonymous(
    configure: Callable[[object], DockerConfig], helper: Callable[[str], Path], text: str
) -> None:
    helper(f"echo '{text}'")
    assert found(configure({"credsStore": "test"}), REPOSITORY) is None


def test_a_helper_that_gives_null_means_anonymous(
    configure: Callable[[object], DockerConfig], helper: Callable[[str], Path]
) -> None:
    helper("""echo '{"Username": null, "Secret": null}'""")
    assert found(configure({"credsStore": "test"}), REPOSITORY) is None


def test_a_helper_is_asked_only_once_for_a_host(
    configure: Callable[[object], DockerConfig], helper: Callable[[str], Path], tmp_path: Path
) -> None:
    helper(f"echo x >> {tmp_path}/asked-for; echo '{ANSWER}'")
    config, helpers = configure({"credsStore": "test"}), Helpers()
    places = [Repository.parse(f"registry.local:5000/gallery/ui-{number}") for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda place: config.credential(place, helpers), places)]
    assert {answer.username for answer in answers if answer} == {"ann"}
    assert (tmp_path / "asked-for").read_text() == "x\n"


def test_a_failed_helper_is_not_asked_again(
    configure: Callable[[object], DockerConfig], helper: Callable[[str], Path], tmp_path: Path
) -> None:
    helper(f"echo x >> {tmp_path}/asked-for; exit 1")
    config, helpers = configure({"credsStore": "test"}), Helpers()
    for _ in range(2):
        with pytest.raises(CredentialsError, match="with exit code 1"):
            config.credential(Repository.parse(REPOSITORY), helpers)
    assert (tmp_path / "asked-for").read_text() == "x\n"


def test_a_long_wait_for_a_helper_is_reported(
    configure: Callable[[object], DockerConfig], helper: Callable[[str], Path]
) -> None:
    helper(f"sleep 0.5; echo '{ANSWER}'")
    told: list[str] = []
    asked = Helpers(Deadline(None, told.append, clock=Racing(20)))
    credential = configure({"credsStore": "test"}).credential(Repository.parse(REPOSITORY), asked)
    assert credential
    assert told == ["waiting for docker-credential-test to give the login of registry.local:5000"]


def test_a_wait_for_a_helper_counts_towards_the_timeout(
    configure: Callable[[object], DockerConfig], helper: Callable[[str], Path]
) -> None:
    helper("exec sleep 600")
    with pytest.raises(TimedOut, match=r"did not finish within the 0\.01 s of --timeout"):
        configure({"credsStore": "test"}).credential(Repository.parse(REPOSITORY), Helpers(Deadline(0.01)))


def test_a_helper_that_knows_no_credential_means_anonymous(
    configure: Callable[[object], DockerConfig], helper: Callable[[str], Path]
) -> None:
    helper("echo 'credentials not found in native keychain'; exit 1")
    assert found(configure({"credsStore": "test"}), REPOSITORY) is None


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (f"echo {CANARY}; echo {CANARY} >&2; exit 1", "with exit code 1: try docker login"),
        (f"echo {CANARY}", "no usable credential: try docker login"),
        (f"""echo '["{CANARY}"]'""", "no usable credential: try docker login"),
        (f"""echo '{{"Username": "{CANARY}"}}'""", "no usable credential: try docker login"),
        (f"printf '\\377{CANARY}'", "no usable credential: try docker login"),
        ("", "no usable credential: try docker login"),
    ],
)
def test_a_broken_helper_is_named_and_its_output_never_shown(
    configure: Callable[[object], DockerConfig], helper: Callable[[str], Path], script: str, message: str
) -> None:
    helper(script)
    with pytest.raises(CredentialsError, match=f"docker-credential-test .*registry.local:5000.*{message}") as caught:
        configure({"credsStore": "test"}).credential(Repository.parse(REPOSITORY))
    assert_hidden(caught.value)


def test_tagger_gives_up_on_a_helper_that_hangs(
    configure: Callable[[object], DockerConfig], helper: Callable[[str], Path]
) -> None:
    helper(f"echo {CANARY}; exec sleep 600")
    asked = Helpers(Deadline(clock=Racing(600)))
    with pytest.raises(CredentialsError, match=r"test gave no answer .* within 120 s: run it by hand") as caught:
        configure({"credsStore": "test"}).credential(Repository.parse(REPOSITORY), asked)
    assert_hidden(caught.value)


def test_a_helper_that_is_not_installed_is_named(configure: Callable[[object], DockerConfig]) -> None:
    with pytest.raises(
        CredentialsError, match=r"docker-credential-absent, .* cannot be started: install it, or remove it"
    ):
        configure({"credsStore": "absent"}).credential(Repository.parse(REPOSITORY))


@pytest.mark.parametrize("name", ["../../bin/sh", "a b", "x;y", "-x", 5, ["x"]])
def test_only_a_plain_name_can_be_a_helper(configure: Callable[[object], DockerConfig], name: object) -> None:
    config = configure({"credHelpers": {"registry.local:5000": name}})
    with pytest.raises(CredentialsError, match=r"does not name a credential helper: fix config\.json"):
        config.credential(Repository.parse(REPOSITORY))


def test_another_hosts_helper_is_never_started(configure: Callable[[object], DockerConfig]) -> None:
    config = configure({"credHelpers": {"other.local": "absent", HUB_KEY: "absent"}})
    assert found(config, REPOSITORY) is None


# Secrets


def assert_hidden(error: BaseException) -> None:
    """Check that neither the error nor its traceback nor what it was raised from shows the canary."""
    assert CANARY not in "".join(traceback.format_exception(error))
    assert error.__suppress_context__ or error.__context__ is None


CREDENTIAL = Credential("ann", Secret(CANARY))


@pytest.mark.parametrize(
    "show",
    [repr, str, format, "{}".format, "{!r:>20}".format, "%s".__mod__, ascii, lambda shown: json.dumps(str(shown))],
)
@pytest.mark.parametrize("value", [Secret(CANARY), CREDENTIAL, CREDENTIAL.basic(), [CREDENTIAL], {"a": CREDENTIAL}])
def test_a_secret_is_shown_as_stars(value: object, show: Callable[[object], str]) -> None:
    shown = show(value)
    assert "***" in shown
    assert CANARY not in shown
    assert auth("ann") not in shown


def test_a_secret_is_not_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("tagger").error("with %s", CREDENTIAL)
    assert caplog.messages == ["with Credential(username='ann', secret=***)"]


def test_a_traceback_with_every_variable_does_not_show_a_secret() -> None:
    def fail(credential: Credential) -> None:
        raise LookupError(credential)

    with pytest.raises(LookupError) as caught:
        fail(CREDENTIAL)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "credential = Credential(username='ann', secret=***)" in shown
    assert CANARY not in shown


@pytest.mark.parametrize("value", [Secret(CANARY), CREDENTIAL])
def test_a_secret_is_not_pickled(value: object) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        # The first two protocols know no slots.
        with pytest.raises(TypeError, match=r"a secret is not pickled|a class that defines __slots__"):
            pickle.dumps(value, protocol)
    with pytest.raises(TypeError, match="a secret is not pickled"):
        copy.deepcopy(value)


def test_secrets_are_equal_when_their_texts_are() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a") != "a"


def test_a_token_is_hidden_while_it_is_used_and_a_password_always(monkeypatch: pytest.MonkeyPatch) -> None:
    from tagger import text

    monkeypatch.setattr(text, "_hidden", {})
    monkeypatch.setattr(text, "_passing", {})
    login = Credential("ann", Secret("correct horse"))
    tokens = [Secret(f"Bearer token-{number:06}") for number in range(5000)]
    said = text.without_secrets(f"correct horse, {login.basic().reveal()}, {tokens[-1].reveal()}, token-004500")
    assert said == "***, Basic ***, Bearer ***, ***"
    assert len(text._passing) <= 1000, "a run over thousands of repositories stays small"
