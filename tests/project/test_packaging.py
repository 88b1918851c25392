"""What is installed is what was tested: the wheel, the source distribution, the image of tagger itself, the locks."""

from __future__ import annotations

import hashlib
import json
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
from services import Engine, Registry

from tagger import __version__

ROOT = Path(__file__).parents[2]
TESTS = [str(ROOT / "tests/real" / name) for name in ("test_cli.py", "test_github.py", "test_git.py")]


def run(words: Sequence[str | Path], cwd: Path, **environment: str) -> str:
    """Run a command that must work."""
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment}
    done = subprocess.run(
        [*map(str, words)], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, as a clone has it."""
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
        f"oci_tagger-{__version__}-py3-none-any.whl", f"oci_tagger-{__version__}.tar.gz",
    }  # fmt: skip
    return found


def environment(folder: Path, python: str, what: Path) -> Path:
    """Install something into a fresh virtual environment, and return its Python."""
    run([python, "-m", "venv", folder], folder.parent)
    run([folder / "bin/pip", "install", "--quiet", what], folder.parent)
    return folder / "bin/python"


def beside(folder: Path, what: Path) -> Path:
    """Install only a wheel into a fresh virtual environment with the locked dependencies, and return its Python."""
    run([sys.executable, "-m", "venv", "--without-pip", folder], folder.parent)
    python = folder / "bin/python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    ours, theirs = (run([each, "-c", ask], folder.parent).strip() for each in (sys.executable, python))
    Path(theirs, "dependencies.pth").write_text(ours)
    # What is installed beside the tests is visible from there, so it must stay.
    options = ["--quiet", "--no-deps", "--no-index", "--ignore-installed"]
    run([sys.executable, "-m", "pip", "--python", python, "install", *options, what], folder.parent)
    return python


def test_the_wheel_contains_only_the_package_and_its_types(built: Mapping[str, Path]) -> None:
    with zipfile.ZipFile(built[".whl"]) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(f"oci_tagger-{__version__}.dist-info/METADATA").decode()
    assert {name.partition("/")[0] for name in names} == {"tagger", f"oci_tagger-{__version__}.dist-info"}
    assert "tagger/py.typed" in names
    assert "\nName: oci-tagger\n" in metadata
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
        ".github/workflows/release.yml",
        "examples/kubernetes/check.yaml",
        "requirements-setup.lock",
        "requirements-dev.lock",
        "requirements-lowest.lock",
    } <= names


def passes_the_tests(python: Path, folder: Path, tests: Sequence[str] = TESTS) -> None:
    """Run tests of the command line against what is installed, far from the project's own folder."""
    settings = ["-c", f"{ROOT}/pyproject.toml", "--rootdir", f"{ROOT}", "-p", "no:cacheprovider"]
    options = ["-q", *settings, "-m", "not engine and not long"]
    run([sys.executable, "-m", "pytest", *options, *tests], folder, TESTED_PYTHON=str(python), PYTEST_ADDOPTS="")


@pytest.mark.long
def test_the_installed_wheel_passes_tests_of_the_command_line(built: Mapping[str, Path], tmp_path: Path) -> None:
    python = beside(tmp_path / "wheel", built[".whl"])
    where = run([python, "-c", "import tagger; print(tagger.__file__)"], tmp_path)
    assert where.startswith(str(tmp_path)), "it is the installed one"
    assert run([tmp_path / "wheel/bin/tagger", "--version"], tmp_path) == f"tagger {__version__}\n"
    passes_the_tests(python, tmp_path, TESTS[1:2])  # the next test runs all of them


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_every_python_passes_the_tests(built: Mapping[str, Path], tmp_path: Path, version: str) -> None:
    passes_the_tests(environment(tmp_path / version, python_of(version), built[".whl"]), tmp_path)


def python_of(version: str) -> str:
    """A Python of this machine; without it, the test is skipped."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)  # tests have their own HOME
    versions = home.glob(f".pyenv/versions/{version}.*/bin/python")
    python = next((str(path) for path in versions), None) or shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"there is no Python {version} here")
    return python


# What uses each dependency, in the tests' own process and in those that they start.
LOWEST = [
    *TESTS,
    *(str(ROOT / "tests/real" / f"test_{name}.py") for name in ("connection", "engine", "registry", "live")),
    f"{ROOT}/tests/unit/test_scheme.py",
    f"{ROOT}/tests/project/test_packaging.py::test_the_wheel_contains_only_the_package_and_its_types",
]


@pytest.mark.long
def test_the_lowest_allowed_versions_pass_the_tests(built: Mapping[str, Path], tmp_path: Path) -> None:
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
@pytest.mark.parametrize("how", ["pipx", "uv", "uvx"])
def test_the_wheel_is_installed_as_a_tool(built: Mapping[str, Path], tmp_path: Path, how: str) -> None:
    run([sys.executable, "-m", "venv", "env"], tmp_path)
    run([tmp_path / "env/bin/pip", "install", "--quiet", "uv" if how == "uvx" else how], tmp_path)
    homes = {
        "PIPX_HOME": tmp_path / "pipx", "PIPX_BIN_DIR": tmp_path / "bin", "PIPX_DEFAULT_PYTHON": sys.executable,
        "UV_TOOL_DIR": tmp_path / "uv", "UV_TOOL_BIN_DIR": tmp_path / "bin", "UV_CACHE_DIR": tmp_path / "cache",
        "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never",
    }  # fmt: skip
    environment = {name: str(value) for name, value in homes.items()}
    install = {"pipx": ["pipx", "install"], "uv": ["uv", "tool", "install"]}
    if how == "uvx":
        tagger: list[str | Path] = [tmp_path / "env/bin/uvx", "--from", built[".whl"], "tagger"]
    else:
        program, *words = install[how]
        run([tmp_path / "env/bin" / program, *words, built[".whl"]], tmp_path, **environment)
        tagger = [tmp_path / "bin/tagger"]
    assert run([*tagger, "tags", "2.1.106"], tmp_path, **environment).splitlines()[-4:] == [
        "2.1.106", "2.1", "2", "latest",
    ]  # fmt: skip


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


def base(folder: Path, content: Path) -> None:
    """Fill a folder with what a base image has: this Python, git, a shell, and the libraries that all of it needs."""
    home, version = Path(sys.base_prefix), f"python{sys.version_info.major}.{sys.version_info.minor}"
    python = Path(os.path.realpath(sys.executable))
    programs = [python, *(Path(shutil.which(name) or name) for name in ("sh", "id", "mkdir", "mv", "chmod", "git"))]
    for name in ("tmp", "usr/local/bin"):
        (folder / name).mkdir(parents=True)
    for program in programs:
        copied(program, folder / "bin" / ("python" if program is python else program.name))
    left_out = shutil.ignore_patterns("site-packages", "test", "idlelib", "ensurepip", "config-*", "__pycache__")
    shutil.copytree(home / "lib" / version, folder / str(home)[1:] / "lib" / version, ignore=left_out)
    for path in [*programs, *(home / "lib" / version / "lib-dynload").glob("*.so"), *content.rglob("*.so")]:
        for library in re.findall(r"(/\S+) \(0x", run(["ldd", path], folder)):
            copied(Path(library), folder / library[1:])


def copied(path: Path, to: Path) -> None:
    """Copy a file, or what a link leads to, unless it is there."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if not to.exists():
        shutil.copy(path, to)


@pytest.fixture(scope="module")
def image(engine: Engine, source: Path, built: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build the image of tagger itself without network, on a base with this Python and git; give its name."""
    assert built
    (source / ".venv").symlink_to(ROOT / ".venv") if not (source / ".venv").exists() else None
    run([source / "tools/image", f"{sys.version_info.major}.{sys.version_info.minor}"], source)
    folder = tmp_path_factory.mktemp("base")
    base(folder, source / "build/image")
    packed = subprocess.run(["tar", "-c", "-C", folder, "."], stdout=subprocess.PIPE, check=True).stdout
    change = "ENV PATH=/usr/local/bin:/bin"
    engine.docker("import", "--change", change, "-", "base-of-tagger", stdin=packed)
    arguments = ["--build-arg", "PYTHON=base-of-tagger", "--build-arg", f"VERSION={__version__}", "--network", "none"]
    engine.docker("build", "--tag", "tagger-itself", *arguments, str(source))
    return "tagger-itself"


@pytest.mark.engine
@pytest.mark.long
def test_the_image_runs_as_an_ordinary_user_and_names_its_version(engine: Engine, image: str) -> None:
    assert engine.docker("run", "--rm", image, "--version") == f"tagger {__version__}\n"
    assert engine.docker("run", "--rm", "--entrypoint", "id", image, "-u") == "65532\n"
    in_a_job = engine.docker("run", "--rm", "--entrypoint", "sh", image, "-c", "tagger tags 2.1.106")
    assert in_a_job.split() == ["2.1.106", "2.1", "2", "latest"]
    labels = engine.docker("image", "inspect", "--format", "{{json .Config.Labels}}", image)
    assert f'"org.opencontainers.image.version":"{__version__}"' in labels


@pytest.mark.engine
@pytest.mark.long
def test_the_image_releases_through_a_mounted_socket_the_version_of_a_mounted_checkout(
    engine: Engine, registry: Registry, image: str, repository: str, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    person = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    (checkout / "rich.py").write_text("raise SystemExit('a checkout decides what is imported')")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"], ["tag", "v2.1.106"]):
        run(["git", *words], checkout, **person)
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 12345, 12345)
    engine.image(repository, "the gallery")
    mounts = ["-v", f"{engine.socket}:/var/run/docker.sock", "-v", f"{checkout}:/checkout"]
    who = ["--user", "12345:12345", "--group-add", str(engine.socket.stat().st_gid), "--network", "host"]
    words = ["release", repository, "git", "--registry", registry.host, "--quiet"]
    said = engine.docker("run", "--rm", *who, *mounts, image, *words)
    assert "released 2.1.106 as" in said
    assert set(registry.tags(repository)) == {"2.1.106", "2.1", "2", "latest"}


# -- tagger.pyz ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pyz(source: Path, built: Mapping[str, Path]) -> Path:
    """Build tagger.pyz."""
    assert built
    run([sys.executable, source / "tools/pyz.py"], source)
    return source / "dist/tagger.pyz"


@pytest.mark.engine
@pytest.mark.long
def test_the_one_file_runs_without_any_other_package(
    pyz: Path, engine: Engine, registry: Registry, repository: str, tmp_path: Path
) -> None:
    engine.image(repository, "the gallery")
    words: list[str | Path] = [sys.executable, "-I", "-S", pyz]
    assert run([*words, "--version"], tmp_path) == f"tagger {__version__}\n"
    assert run([*words, "tags", "2.1.106"], tmp_path).split() == ["2.1.106", "2.1", "2", "latest"]
    released = [*words, "release", repository, "2.1.106", "--registry", registry.host, "--quiet"]
    assert "released 2.1.106 as" in run(released, tmp_path, DOCKER_HOST=engine.url)
    listed = json.loads(run([*words, "ls", f"{registry.host}/{repository}", "--json"], tmp_path))
    assert [each["version"] for each in listed["versions"]] == ["2.1.106"]
    where = "import sys; sys.path.insert(0, sys.argv[1]); import certifi; print(open(certifi.where()).read())"
    assert "BEGIN CERTIFICATE" in run([sys.executable, "-I", "-S", "-c", where, pyz], tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_the_one_file_runs_on_every_python(pyz: Path, tmp_path: Path, version: str) -> None:
    said = run([python_of(version), "-I", "-S", pyz, "tags", "2.1.106"], tmp_path)
    assert said.split() == ["2.1.106", "2.1", "2", "latest"]


@pytest.mark.long
def test_the_one_file_is_pure_python_and_its_bill_lists_its_whole_content(pyz: Path, source: Path) -> None:
    digest = hashlib.sha256(pyz.read_bytes()).hexdigest()
    assert (pyz.parent / "tagger.pyz.sha256").read_text() == f"{digest}  tagger.pyz\n"
    bill = json.loads((pyz.parent / "tagger.pyz.cdx.json").read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["hashes"][0]["content"]) == ("CycloneDX", digest)
    with zipfile.ZipFile(pyz) as packed:
        names = packed.namelist()
    assert not [name for name in names if name.endswith((".so", ".pyd", ".pyc")) or name.startswith(str(source))]
    inside = {name.partition("/")[0].removesuffix(".dist-info") for name in names if ".dist-info/" in name}
    every = [bill["metadata"]["component"], *bill["components"]]
    assert {f"{each['name'].replace('-', '_')}-{each['version']}" for each in every} == inside
    assert all(each["licenses"] and each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}" for each in every)
    pinned = {name: version for name, (version, _) in locked("requirements.lock").items()}
    assert {each["name"]: each["version"] for each in bill["components"]}.items() <= pinned.items()
    needs = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    assert any(each.startswith("pkg:pypi/docker@") for each in needs[every[0]["purl"]])
    assert needs.keys() == {each["purl"] for each in every}
    before = pyz.read_bytes()
    run([sys.executable, source / "tools/pyz.py"], source)
    assert pyz.read_bytes() == before, "the same content gives the same file"


@pytest.mark.long
def test_the_one_file_says_which_python_it_needs(pyz: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(pyz) as packed:
        start = packed.read("__main__.py").decode()
    old = "import sys; sys.version_info = (3, 10); exec(sys.argv[1])"
    words = [sys.executable, "-c", old, start]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, "tagger needs Python 3.11 or later" in ended.stderr) == (1, True)


# -- locks ---------------------------------------------------------------------------------------------------------


LOCKS = ("requirements.lock", "requirements-setup.lock", "requirements-dev.lock", "requirements-lowest.lock")


def locked(file: str) -> dict[str, tuple[str, int]]:
    """Read a lock file: each requirement's version, and how many hashes it has."""
    parts = re.split(r"^(?=[a-z])", (ROOT / file).read_text(), flags=re.MULTILINE)
    found = (re.match(r"([a-z0-9-]+)==(\S+)", part) for part in parts)
    return {m[1]: (m[2], part.count("--hash=sha256:")) for m, part in zip(found, parts, strict=True) if m}


def required(texts: Sequence[object]) -> dict[str, str]:
    """Read requirements: the lowest version that each one allows."""
    found = (re.fullmatch(r"([a-z0-9-]+)>=([0-9.]+)(?:,<[0-9.]+)?", text) for text in texts if isinstance(text, str))
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


def test_the_lowest_allowed_versions_are_the_tested_ones() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = content["dependency-groups"]
    allowed = required([*content["project"]["dependencies"], *groups["test"], *groups["pictures"]])
    tested = locked("requirements-lowest.lock")
    assert {name: tested[name][0].removesuffix(".0").removesuffix(".0") for name in allowed} == {
        name: version.removesuffix(".0") for name, version in allowed.items()
    }
