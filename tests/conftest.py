"""Real services, started when a test first needs them, and an environment without settings."""

import gc
import itertools
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import canary
import hypothesis
import launcher
import pytest
from clocks import Skipping
from doubles import FakeEngine, ModelRegistry
from services import (
    ENVIRONMENT,
    ContainerdEngine,
    CraneRegistry,
    Engine,
    Podman,
    Registry,
    loopback_address,
    private_folder,
    private_hosts,
)
from thinned import EXAMPLES, is_variation

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
CONTAINERD_ROOT = Path(os.environ.get("CONTAINERD_ROOT") or CACHE / "tagger/sid")
CRANE = CONTAINERD_ROOT / "usr/bin/crane"
SID_REGISTRY = CONTAINERD_ROOT / "usr/bin/docker-registry"
SID_PODMAN = CONTAINERD_ROOT / "usr/bin/podman"
FROM_SID = ("containerd", "crane", "sid")
OTHERS = frozenset({*FROM_SID, "podman", "long"})
"""The marks of tests that `make test` leaves to `make test-engines` and `make test-long`."""
PROGRAMS = ("curl", "docker", "dockerd", "docker-registry", "openssl", "setpriv", "unshare")
FOREIGN = ("DOCKER_", "TAGGER_", "GITHUB_")
FOREIGN_TAGS = ("_TAG", "TAG_NAME", "BUILD_SOURCEBRANCH", "GIT_REF", "CODEBUILD_WEBHOOK_TRIGGER")
FOREIGN_NAMES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "FORCE_COLOR", "NO_COLOR", "PY_COLORS")

# A loaded machine is not a failure.
hypothesis.settings.register_profile("thinned", deadline=None, max_examples=EXAMPLES)
hypothesis.settings.load_profile("thinned")

mount_failure = pytest.StashKey[str]()
told = pytest.StashKey[list[str]]()
runs = pytest.StashKey[int]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Make registry.local a name of this session; this must happen before any thread starts."""
    # A shell's background job ignores SIGINT, and so would every process that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.geteuid() == 0 and not _has_workers(session.config):
        try:
            private_hosts({"registry.local": loopback_address()})
        except OSError as error:
            session.config.stash[mount_failure] = str(error)


def _has_workers(config: pytest.Config) -> bool:
    """Whether other processes run the tests of this session."""
    return bool(config.getoption("numprocesses", None)) and not hasattr(config, "workerinput")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make test` leaves out, before pytest selects tests."""
    its_own = [item for item in items if OTHERS.isdisjoint(mark.name for mark in item.iter_markers())]
    for test, group in itertools.groupby(its_own, lambda item: item.nodeid.partition("[")[0]):
        variations = [*group]
        for number, item in enumerate(variations):
            if is_variation(test, number, len(variations)):
                item.add_marker("variation")


def pytest_collection_finish() -> None:
    """Let later garbage collections skip what stays to the end."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Pass what a worker counted to its session."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["told"] = session.config.stash.get(told, [])
        session.config.workeroutput["searched"] = len(canary.searched)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what a worker counted."""
    counted = getattr(node, "workeroutput", {})
    node.config.stash.setdefault(told, []).extend(counted.get("told", []))
    node.config.stash[runs] = node.config.stash.get(runs, 0) + counted.get("searched", 0)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run here and say why; in CI nothing is skipped."""
    marks = {mark.name for mark in item.iter_markers()}
    shells = [name for mark in item.iter_markers("shell") for name in mark.args]
    if not shells and marks.isdisjoint({"engine", "podman", *FROM_SID}):
        return
    reason = _lacking_services(item.config)
    if not reason and (absent := [*_lacking_programs(marks), *(each for each in shells if not shutil.which(each))]):
        reason = f"no {', '.join(absent)}: `make test-engines` installs it"
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    if reason:
        pytest.skip(reason)


def _lacking_programs(marks: set[str]) -> list[str]:
    """What a test with these marks needs from `make test-engines` and does not find."""
    wanted = [] if marks.isdisjoint(FROM_SID) else [CRANE, SID_REGISTRY, SID_PODMAN]
    absent = [str(program) for program in wanted if not program.is_file()]
    if "podman" in marks and not shutil.which("podman", path=ENVIRONMENT["PATH"]):
        absent.append("podman")
    return absent


def _lacking_services(config: pytest.Config) -> str | None:
    if os.geteuid() != 0:
        return "an Engine of our own needs root"
    if absent := [program for program in PROGRAMS if not shutil.which(program, path=ENVIRONMENT["PATH"])]:
        return f"not installed: {', '.join(absent)} (`make test` installs them)"
    return config.stash.get(mount_failure, None)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A function that returns a home folder for each test; pytest would count all folders for each test."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, homes: Iterator[Path]) -> None:
    for name in os.environ:
        if name.startswith(FOREIGN) or name.endswith(FOREIGN_TAGS) or name.upper() in FOREIGN_NAMES:
            monkeypatch.delenv(name)
    home = next(homes)
    (home / ".docker").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DOCKER_CONFIG", str(home / ".docker"))


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands of a test spend no time waiting for what never comes."""
    monkeypatch.setattr(launcher, "pace", 20.0)


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `tagger` that takes a tenth of the time to start."""
    return launcher.STEM.program(tmp_path_factory.mktemp("bin")).parent


@pytest.fixture
def on_the_path(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let scripts find this tagger and the Python of the tests."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]))


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The session's Engine with the graph-driver store."""
    with private_folder() as folder, Engine.start(folder) as service:
        yield service


@pytest.fixture(scope="session")
def containerd_engine() -> Iterator[ContainerdEngine]:
    """The session's Engine with the containerd image store."""
    with private_folder() as folder, ContainerdEngine.start(CONTAINERD_ROOT, folder) as service:
        yield service


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """The session's service of the machine's own Podman."""
    with private_folder() as folder, Podman.start(folder) as service:
        yield service


@pytest.fixture(scope="session")
def sid_podman() -> Iterator[Podman]:
    """The session's service of Debian sid's Podman."""
    with private_folder() as folder, Podman.start(folder, CONTAINERD_ROOT) as service:
        yield service


@pytest.fixture(scope="session")
def sid_registry() -> Iterator[Registry]:
    """The session's docker-registry of Debian sid; it deletes by digest."""
    with private_folder() as folder, Registry.start(folder, program=SID_REGISTRY) as service:
        yield service


@pytest.fixture(scope="session")
def crane_registry() -> Iterator[Registry]:
    """The session's registry of crane; it deletes single tags."""
    with private_folder() as folder, CraneRegistry.serve(CRANE, folder) as service:
        yield service


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """The session's registry at 127.0.0.1 and a free port; it deletes by digest."""
    with private_folder() as folder, Registry.start(folder) as service:
        yield service


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Registry]:
    """The session's second registry, for releases to two."""
    with private_folder() as folder, Registry.start(folder) as service:
        yield service


@pytest.fixture(scope="session")
def guarded_registry() -> Iterator[Registry]:
    """The session's registry that needs a password, the canary; it deletes by digest."""
    with private_folder() as folder, Registry.start(folder, htpasswd={canary.USER: canary.PASSWORD}) as service:
        yield service


@pytest.fixture(scope="session")
def registry_local() -> Iterator[Registry]:
    """The session's registry that answers at registry.local:5000."""
    with private_folder() as folder, Registry.start(folder, host="registry.local", port=5000) as service:
        yield service


@pytest.fixture(scope="session")
def crane() -> Path:
    """The crane program."""
    return CRANE


@pytest.fixture
def model() -> Iterator[ModelRegistry]:
    """A registry in this process."""
    with ModelRegistry() as registry:
        yield registry


@pytest.fixture
def fake(model: ModelRegistry) -> Iterator[FakeEngine]:
    """An Engine in this process that has an image and pushes to the registry in this process."""
    with FakeEngine(model) as engine:
        engine.load("image-gallery", b"the gallery")
        yield engine


@pytest.fixture
def repository() -> str:
    """A repository path that no other test uses."""
    return f"gallery/ui-{secrets.token_hex(4)}"


@pytest.fixture
def tell(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """A function that adds a line to the end of the session's report."""
    return pytestconfig.stash.setdefault(told, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what the tests that count something counted."""
    for line in config.stash.get(told, []):
        terminalreporter.write_line(line)
    searched = len(canary.searched) + config.stash.get(runs, 0)
    terminalreporter.write_line(f"{searched} runs of the command searched for the password, and none shows it")


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock of every command in this process forward instead of waiting."""
    monkeypatch.setattr("tagger.work.Clock", Skipping)
