"""What a person sees on a terminal, and what a log gets instead."""

from __future__ import annotations

import io
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import canary
import pyte
import pytest
from command import Ran, fresh, tagger, tagger_in
from doubles import FakeEngine, ModelRegistry, Proxy, on, refusal
from pushed import Repository
from rich.console import Console
from screen import Screen, Size, picture, record
from services import Engine, Registry

from tagger.cli.render.console import is_rich
from tagger.cli.render.live import Watch
from tagger.events import Line, Upload

IMAGE = "image-gallery"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@pytest.fixture
def environment() -> Callable[..., dict[str, str]]:
    """Return what makes the environment of a command."""

    def made(**more: str) -> dict[str, str]:
        return {**os.environ, **more}

    return made


def shown(screen: Screen) -> list[str]:
    """The lines of a screen without what is empty."""
    return [line.rstrip() for line in screen.display if line.strip()]


def colours(screen: Screen) -> set[str]:
    """The colours on a screen, dim text aside."""
    return {c.fg for row in screen.buffer.values() for c in row.values()} - {"default", "black"}


@pytest.fixture
def words(registry: Registry, repository: str, engine: Engine) -> list[str]:
    """A release that moves tags, as words."""
    Repository(registry, repository).image("2.1.105", "before")
    engine.image(repository, repository)
    return ["release", repository, "2.1.106", "--registry", registry.host]


@pytest.mark.engine
def test_a_plan_is_a_table_that_is_readable_without_colour(
    engine: Engine, words: list[str], environment: Callable[..., dict[str, str]]
) -> None:
    plan = [*words, "--dry-run"]
    coloured = record(plan, environment(DOCKER_HOST=engine.url), Size())
    plain = record(plan, environment(DOCKER_HOST=engine.url, NO_COLOR="1"), Size())
    assert shown(coloured) == shown(plain)
    assert [line.split()[:3] for line in shown(plain)[-5:-1]] == [
        ["+", "create", "2.1.106"], ["+", "create", "2.1"], ["+", "create", "2"], ["+", "create", "latest"],
    ]  # fmt: skip
    assert (bool(colours(coloured)), colours(plain)) == (True, set())


@pytest.mark.engine
def test_a_release_shows_each_tag_live_and_ends_with_only_the_result(
    engine: Engine, words: list[str], registry: Registry, environment: Callable[..., dict[str, str]]
) -> None:
    with Proxy(registry.host) as proxy:
        proxy.intercept(on("PUT", r"/manifests/latest$", lambda _: time.sleep(2)))
        there = [*words[:-1], proxy.host]
        live = record(there, environment(DOCKER_HOST=engine.url), Size(), lambda text: "✓ pushed" in text)
        assert any("pushing" in line or "pushed" in line for line in shown(live))
        proxy.rules.clear()
        done = record(there, environment(DOCKER_HOST=engine.url), Size())
    assert not any("pushing" in line for line in shown(done))
    assert any(line.startswith("released 2.1.106") for line in shown(done))


@pytest.mark.engine
def test_a_narrow_terminal_gets_plain_lines_and_nothing_is_cut_off(
    engine: Engine, words: list[str], environment: Callable[..., dict[str, str]]
) -> None:
    narrow = record([*words, "--dry-run"], environment(DOCKER_HOST=engine.url), Size(40, 60))
    text = "".join(line.rstrip() for line in narrow.display)
    assert "create 2.1.106" in text
    assert "dry run: nothing was written" in text


@pytest.mark.engine
def test_a_log_gets_one_plain_line_for_each_event(engine: Engine, words: list[str]) -> None:
    ran = tagger(engine, *words)
    assert ran.code == 0
    assert not CONTROL.search(ran.out + ran.err)
    assert [line.split()[1] for line in ran.err.splitlines()] == ["pushing", *["pushed"] * 4, "verified"]


def test_a_dumb_terminal_gets_the_same_lines_as_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    assert is_rich(Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert not is_rich(Terminal())


@pytest.mark.engine
def test_colour_can_be_forced_and_nothing_moves_the_cursor(engine: Engine, words: list[str]) -> None:
    ran = tagger(engine, *words, "--dry-run", FORCE_COLOR="1")
    assert "\x1b[" in ran.out
    assert set(re.findall(r"\x1b\[[0-9;]*(.)", ran.out)) == {"m"}


def test_quiet_shows_only_the_result_and_errors() -> None:
    with ModelRegistry() as registry, FakeEngine(registry) as engine:
        engine.load(IMAGE, b"the gallery")
        target = ["--registry", registry.host, "--quiet"]
        ran = tagger(engine, "release", IMAGE, "2.1.106", *target)
        assert (ran.code, ran.err, "released 2.1.106" in ran.out) == (0, "", True)
        engine.load(IMAGE, b"another")
        ran = tagger(engine, "release", IMAGE, "2.1.106", *target)
        assert (ran.code, len(ran.err.splitlines())) == (3, 1)


def test_a_long_wait_says_what_it_waits_for() -> None:
    with ModelRegistry() as registry, FakeEngine(registry) as engine:
        engine.load(IMAGE, b"the gallery")
        registry.intercept(on("GET", "/tags/list", refusal(503, "UNAVAILABLE", "busy", Retry_After="1"), times=1))
        ran = tagger(engine, "release", IMAGE, "2.1.106", "--registry", registry.host)
    assert (ran.code, f"waiting 1 s: {registry.host} answered HTTP 503" in ran.err) == (0, True), ran.err


def test_a_wait_for_a_stale_registry_is_shown() -> None:
    with ModelRegistry() as registry, FakeEngine(registry) as engine:
        engine.load(IMAGE, b"the gallery")
        late = refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")
        registry.intercept(on("GET", r"/manifests/2\.1\.106$", late, times=4))
        ran = tagger(engine, "release", IMAGE, "2.1.106", "--registry", registry.host)
    assert (ran.code, f"waiting 1 s: {registry.host} does not show 2.1.106 yet" in ran.err) == (0, True), ran.err


# -- the live part by itself ---------------------------------------------------------------------------------------


def test_three_thousand_tags_are_shown_as_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(quiet=False)
    monkeypatch.setattr(watch, "_live", object())
    monkeypatch.setattr(watch, "_refresh", lambda: None)
    for number in range(3000):
        watch.progress(Line.about("pushed" if number < 2990 else "pushing", f"r:{number}"))
    for number in range(20):
        watch.meter(Upload(f"layer{number}", 5, 10))
    watch.meter(Upload("layer0", 10, 10))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(watch)
    lines = console.export_text().splitlines()
    assert "2990 of 3000 done" in lines[0]
    assert len(lines) == 1 + 10 + 8 + 1
    assert "and 11 more layers" in lines[-1]


def test_a_picture_shows_the_same_as_the_terminal() -> None:
    screen = Screen(20, 3)
    pyte.ByteStream(screen).feed(b"\x1b[1;31mno\x1b[0m <tag>\r\n")
    drawn = picture(screen)
    assert ">no</text>" in drawn
    assert "&lt;tag&gt;</text>" in drawn


# -- names that are no names ---------------------------------------------------------------------------------------

HOSTILE = "a\n::error::x\r\x1b[2J\u202e###vso[task.complete]"


def harmless(ran: Ran) -> bool:
    """Whether what a command printed holds its own lines alone."""
    text = ran.out + ran.err
    lines = text.split("\n")[:-1]
    return all(line.isprintable() and "##" not in line and not line.startswith("::") for line in lines)


def test_names_in_a_checkout_are_shown_as_text_everywhere(tmp_path: Path) -> None:
    folder = tmp_path / HOSTILE.replace("/", "")
    folder.mkdir()
    table = json.dumps(HOSTILE)
    contents = [
        "[",
        f"{table} = 1",
        f"[images.{table}]\nprefix = 3",
        f"[images.{table}]\n{table} = 3",
        f'[images.{table}]\nprefix = {table}\nrepository = "x"',
        f'variants = [{table}]\nrepository = "x"\n[images.a]\n[images.{table}]\nfloats = ["{{major}}"]',
        f"registries = [{table}]\nrepository = {table}\nprefix = {table}\naliases = {{ {table} = {table} }}",
        f"channels = [{table}]\nignore = [{table}]\nfloats = [{table}]",
    ]
    for content in contents:
        (folder / "tagger.toml").write_text(content)
        for words in (["config", "x"], ["config", "--json"], ["tags", "1.2.3"], ["release", "--all", "1.2.3"]):
            ran = tagger_in(folder, *words)
            assert harmless(ran), (content, words, ran)


def test_arguments_and_the_environment_are_shown_as_text_everywhere(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"auths": {"127.0.0.1:1": {"auth": HOSTILE}}, "credsStore": HOSTILE})
    )
    variables = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "TAGGER_PREFIX", "TAGGER_VARIANT", "TAGGER_REGISTRY",
                 "TAGGER_ALIASES", "TAGGER_IGNORE", "HTTPS_PROXY", "DOCKER_CERT_PATH")  # fmt: skip
    words = ["release", "x", "1.2.3", "--registry", "registry.invalid"]
    for name in variables:
        ran = tagger(None, *words, **{"DOCKER_HOST": "unix:///nowhere", "DOCKER_CONFIG": str(tmp_path), name: HOSTILE})
        assert ran.code == 2, ran
        assert harmless(ran), (name, ran)
    for option in ("--registry", "--repository", "--variant", "--prefix", "--floats-via", "--summary", "--insecure",
                   "--auth-host", "--build-metadata", "--timeout", f"--{HOSTILE}"):  # fmt: skip
        ran = tagger_in(tmp_path, *words, option, HOSTILE, DOCKER_HOST="unix:///nowhere")
        assert ran.code == 2, ran
        assert harmless(ran), (option, ran)
    for command in (["release", HOSTILE, HOSTILE], ["promote", HOSTILE, "1.2.3"], ["rm", HOSTILE, "x"],
                    ["tags", HOSTILE], ["completion", HOSTILE], [HOSTILE], ["tags", "1.2.3", HOSTILE]):  # fmt: skip
        ran = tagger(None, *command)
        assert ran.code == 2, ran
        assert harmless(ran), (command, ran)


def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    for number, words in enumerate((["--summary", "a\n##b"], ["--summary=c\n##d"])):
        ran = tagger_in(tmp_path, "release", "x", "1.2.3", *words, DOCKER_HOST="unix:///nowhere")
        assert harmless(ran)
        assert (tmp_path / ("a\n##b", "c\n##d")[number]).exists()


def test_a_terminal_shows_names_as_text_too() -> None:
    watch = Watch(quiet=False)
    file = io.StringIO()
    console = Console(width=100, file=file, force_terminal=True, color_system=None)
    watch._live = type("Live", (), {"console": console, "refresh": lambda _: None})()
    watch.progress(Line.about("pushing", HOSTILE))
    watch.meter(Upload(HOSTILE, 5, 10))
    console.print(watch)
    assert "\x1b[2J" not in file.getvalue()
    assert not [line for line in file.getvalue().splitlines() if line.startswith("::") or "##" in line]


@pytest.mark.parametrize("password", [canary.PASSWORD, quote(canary.PASSWORD, safe="")])
def test_no_password_of_an_address_is_shown(model: ModelRegistry, password: str) -> None:
    at = f"{canary.USER}:{password}@127.0.0.1:1"
    words = ["release", "x", "1.2.3", "--registry", model.host, "--verbose", "--json"]
    ran = [tagger(None, *words, DOCKER_HOST=f"{scheme}://{at}") for scheme in ("tcp", "x")]
    proxies = (f"http://{at}", f"socks5://{at}", f"http://[{at}")
    ran += [tagger(None, "ls", "registry.invalid/x", "--verbose", HTTPS_PROXY=proxy) for proxy in proxies]
    for each in ran:
        assert each.code == 2, each
        assert "127.0.0.1:1" in each.err or "HTTPS_PROXY" in each.err, each
        assert canary.USER not in each.out + each.err


def test_characters_that_a_stream_cannot_encode_are_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "caf\u00e9"
    folder.mkdir()
    (folder / "tagger.toml").write_text('prefix = "v"')
    ran = fresh("config", folder=folder, PYTHONIOENCODING="ascii")
    assert (ran.code, "caf\\xe9/tagger.toml" in ran.out) == (0, True), ran
