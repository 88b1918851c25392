"""What is installed is what was tested: the wheel, the source distribution, the image of tagger itself, the locks."""

from __future__ import annotations

import io
import os
import pwd
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from services import Engine, _tar

from tagger import __version__

ROOT = Path(__file__).parents[2]
TESTS = [str(ROOT / "tests/real" / name) for name in ("test_cli.py", "test_github.py", "test_git.py")]


def run(words: Sequence[str | Path], cwd: Path, **environment: str) -> str:
    """Run a command that has to work."""
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment}
    done = subprocess.run(
        [*map(str, words)], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a copy of the project, as a clone has it."""
    folder = tmp_path_factory.mktemp("source") / "tagger"
    left_out = shutil.ignore_patterns(".venv", ".git", "build", "dist", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, folder, ignore=left_out)
    return folder


@pytest.fixture(scope="module")
def built(source: Path) -> Mapping[str, Path]:
    """Build the wheel and the source distribution; without isolation, which would fetch hatchling once for each."""
    run([sys.executable, "-m", "build", "--quiet", "--no-isolation"], source)
    found = {path.suffix: path for path in (source / "dist").iterdir()}
    assert {path.name for path in found.values()} == {
        f"tagger-{__version__}-py3-none-any.whl", f"tagger-{__version__}.tar.gz",
    }  # fmt: skip
    return found


def environment(folder: Path, python: str, what: Path) -> Path:
    """Install something into a fresh virtual environment, and give its Python."""
    run([python, "-m", "venv", folder], folder.parent)
    run([folder / "bin/pip", "install", "--quiet", what], folder.parent)
    return folder / "bin/python"


def beside(folder: Path, what: Path) -> Path:
    """Install a wheel alone into a fresh virtual environment that has the locked dependencies, and give its Python."""
    run([sys.executable, "-m", "venv", "--without-pip", folder], folder.parent)
    python = folder / "bin/python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    ours, theirs = (run([each, "-c", ask], folder.parent).strip() for each in (sys.executable, python))
    Path(theirs, "dependencies.pth").write_text(ours)
    # What is installed beside the tests is seen from there; it has to stay.
    options = ["--quiet", "--no-deps", "--no-index", "--ignore-installed"]
    run([sys.executable, "-m", "pip", "--python", python, "install", *options, what], folder.parent)
    return python


def test_the_wheel_holds_the_package_alone_and_its_types(built: Mapping[str, Path]) -> None:
    with zipfile.ZipFile(built[".whl"]) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(f"tagger-{__version__}.dist-info/METADATA").decode()
    assert {name.partition("/")[0] for name in names} == {"tagger", f"tagger-{__version__}.dist-info"}
    assert "tagger/py.typed" in names
    for version in ("3.11", "3.12", "3.13", "3.14"):
        assert f"Programming Language :: Python :: {version}" in metadata


def test_the_source_distribution_has_what_its_tests_need(built: Mapping[str, Path]) -> None:
    with tarfile.open(built[".gz"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "Makefile",
        "tests/real/test_cli.py",
        "docs/schema.json",
        "action.yml",
        "requirements-setup.lock",
        "requirements-dev.lock",
        "requirements-lowest.lock",
    } <= names


def passes_the_tests(python: Path, folder: Path, tests: Sequence[str] = TESTS) -> None:
    """Run tests of the command line against what is installed, far from the project's own folder."""
    settings = ["-c", f"{ROOT}/pyproject.toml", "--rootdir", f"{ROOT}", "-p", "no:cacheprovider"]
    options = ["-q", *settings, "-m", "not engine and not long"]
    run([sys.executable, "-m", "pytest", *options, *tests], folder, TESTED_PYTHON=str(python), PYTEST_ADDOPTS="")


def test_the_installed_wheel_passes_tests_of_the_command_line(built: Mapping[str, Path], tmp_path: Path) -> None:
    python = beside(tmp_path / "wheel", built[".whl"])
    where = run([python, "-c", "import tagger; print(tagger.__file__)"], tmp_path)
    assert where.startswith(str(tmp_path)), "it is the installed one"
    assert run([tmp_path / "wheel/bin/tagger", "--version"], tmp_path) == f"tagger {__version__}\n"
    passes_the_tests(python, tmp_path, TESTS[1:2])  # the next test runs all of them


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_every_python_passes_all_of_them(built: Mapping[str, Path], tmp_path: Path, version: str) -> None:
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)  # tests have a HOME of their own
    versions = home.glob(f".pyenv/versions/{version}.*/bin/python")
    python = next((str(path) for path in versions), None) or shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"there is no Python {version} here")
    passes_the_tests(environment(tmp_path / version, python, built[".whl"]), tmp_path)


# What uses each of the dependencies, in the tests' own process and in those that they start.
LOWEST = [
    *TESTS,
    *(str(ROOT / "tests/real" / f"test_{name}.py") for name in ("connection", "engine", "registry", "live")),
    f"{ROOT}/tests/unit/test_scheme.py",
    f"{ROOT}/tests/project/test_packaging.py::test_the_wheel_holds_the_package_alone_and_its_types",
]


@pytest.mark.long
def test_the_lowest_versions_that_are_allowed_pass_the_tests(built: Mapping[str, Path], tmp_path: Path) -> None:
    run([sys.executable, "-m", "venv", tmp_path / "lowest"], tmp_path)
    python = tmp_path / "lowest/bin/python"
    pip = tmp_path / "lowest/bin/pip"
    lock = ROOT / "requirements-lowest.lock"
    run([pip, "install", "--quiet", "--require-hashes", "--requirement", lock], tmp_path)
    run([pip, "install", "--quiet", "--no-deps", built[".whl"]], tmp_path)
    settings = ["-c", f"{ROOT}/pyproject.toml", "--rootdir", f"{ROOT}", "-p", "no:cacheprovider"]
    chosen = ["-q", "-n", "2", "-m", "not engine and not long"]
    run([python, "-m", "pytest", *settings, *chosen, *LOWEST], tmp_path, TESTED_PYTHON=str(python), PYTEST_ADDOPTS="")


@pytest.mark.long
@pytest.mark.parametrize("how", ["pip", "pipx"])
def test_a_clone_is_installed_as_the_readme_says(source: Path, tmp_path: Path, how: str) -> None:
    run([sys.executable, "-m", "venv", "env"], tmp_path)
    if how == "pip":
        run([tmp_path / "env/bin/pip", "install", "--quiet", "."], source)
        tagger = tmp_path / "env/bin/tagger"
    else:
        run([tmp_path / "env/bin/pip", "install", "--quiet", "pipx"], source)
        homes = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
        run([tmp_path / "env/bin/pipx", "install", "."], source, **homes)
        tagger = tmp_path / "bin/tagger"
    assert run([tagger, "tags", "2.1.106"], tmp_path).split() == ["2.1.106", "2.1", "2", "latest"]


# -- the image of tagger itself ------------------------------------------------------------------------------------


@pytest.mark.engine
@pytest.mark.long
def test_the_image_is_built_without_network_and_holds_a_tagger_that_runs(
    engine: Engine, source: Path, built: Mapping[str, Path], repository: str, tmp_path: Path
) -> None:
    assert built
    (source / ".venv").symlink_to(ROOT / ".venv") if not (source / ".venv").exists() else None
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    run([source / "tools/image", here], source)
    base, name = f"base-{repository.rpartition('-')[2]}", f"tagger-{repository.rpartition('-')[2]}"
    engine.docker("import", "-", base, stdin=_tar({"etc/hostname": b"base"}))
    arguments = ["--build-arg", f"PYTHON={base}", "--build-arg", f"VERSION={__version__}", "--network", "none"]
    engine.docker("build", "--tag", name, *arguments, str(source))
    labels = engine.docker("image", "inspect", "--format", "{{json .Config.Labels}} {{json .Config.Entrypoint}}", name)
    assert f'"org.opencontainers.image.version":"{__version__}"' in labels
    assert '["python","-m","tagger"]' in labels
    container = engine.docker("create", name).strip()
    try:
        packed = subprocess.run(
            ["docker", "--host", engine.url, "cp", f"{container}:/opt/tagger", "-"], capture_output=True, check=True
        ).stdout
    finally:
        engine.docker("rm", container)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path, filter="data")
    # The interpreter comes with the base; -S and -P keep every other package of this one out.
    command = "import sys; sys.argv[0] = 'tagger'; from tagger.cli.run import main; main()"
    inside = {"PYTHONPATH": str(tmp_path / "tagger")}
    words = [sys.executable, "-S", "-P", "-c", command]
    assert run([*words, "--version"], tmp_path, **inside) == f"tagger {__version__}\n"
    assert "--dry-run" in run([*words, "release", "--help"], tmp_path, **inside)


# -- locks ---------------------------------------------------------------------------------------------------------


LOCKS = ("requirements.lock", "requirements-setup.lock", "requirements-dev.lock", "requirements-lowest.lock")


def locked(file: str) -> dict[str, tuple[str, int]]:
    """Read a lock file: each requirement's version, and how many hashes it has."""
    parts = re.split(r"^(?=[a-z])", (ROOT / file).read_text(), flags=re.MULTILINE)
    found = (re.match(r"([a-z0-9-]+)==(\S+)", part) for part in parts)
    return {m[1]: (m[2], part.count("--hash=sha256:")) for m, part in zip(found, parts, strict=True) if m}


def required(texts: Sequence[object]) -> dict[str, str]:
    """Read requirements: the lowest version that each one allows."""
    found = (re.fullmatch(r"([a-z0-9-]+)>=([0-9.]+)", text) for text in texts if isinstance(text, str))
    return {m[1]: m[2] for m in found if m}


def test_every_requirement_is_locked_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = required(project["dependencies"])
    assert len(needed) == len(project["dependencies"]), "each says its lowest version"
    runtime, setup, all_of_them, lowest = map(locked, LOCKS)
    assert needed.keys() <= runtime.keys()
    assert all(hashes for lock in (runtime, setup, all_of_them, lowest) for _, hashes in lock.values())
    assert runtime.items() <= all_of_them.items(), "tests run with what is released"
    assert not any("://" in (ROOT / lock).read_text() for lock in LOCKS)


def test_the_lowest_versions_that_are_allowed_are_those_that_are_tested() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = content["dependency-groups"]
    allowed = required([*content["project"]["dependencies"], *groups["test"], *groups["pictures"]])
    tested = locked("requirements-lowest.lock")
    assert {name: tested[name][0].removesuffix(".0").removesuffix(".0") for name in allowed} == {
        name: version.removesuffix(".0") for name, version in allowed.items()
    }
