"""Every command of the README and of docs/ runs, and prints what the page says."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pages
import pytest
import yaml
from command import DOCS, SCHEMA
from hosts.test_hosts import HOSTS
from lists import YEARS
from pushed import Repository
from services import Engine, Registry

import tagger

ROOT = DOCS.parent
HOST = "registry.local:5000"
# What another test runs, or what cannot run in the middle of the tests.
ELSEWHERE = {
    "make demo": "tests/project/test_demo.py",
    "make test": "it is what runs this",
    "tagger promote oci:image.tar 2.1.106 --to registry.local:5000/gallery/ui": "tests/real/test_layout.py",
    "tagger promote --all 2.1.106": "tests/real/test_promote_all.py",
    "pipx install .": "tests/project/test_packaging.py",
}
PAGES = ["README.md", *(str(page.relative_to(DOCS.parent)) for page in sorted(DOCS.glob("**/*.md")))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)\)")


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a page, and what it prints as the page shows it (None: the page does not say)."""

    words: str
    shown: str | None


def steps(page: str) -> Iterator[Step | tuple[str, str]]:
    """Yield the commands of a page in order, and the files and programs that it shows, by their kind."""
    for kind, content in FENCE.findall((ROOT / page).read_text()):
        if kind == "console":
            for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
                words, _, shown = part.partition("\n")
                yield Step(words, shown)
        elif kind == "sh":
            for line in content.replace("\\\n", " ").splitlines():
                if words := line.partition(" #")[0].strip():
                    yield Step(words, None)
        else:
            yield kind, content


def is_checked(step: Step | tuple[str, str]) -> bool:
    """Whether a test can check a step: a command, a program, or what `--json` prints."""
    return isinstance(step, Step) or step[0] in ("python", "json")


def commands(page: str) -> list[str]:
    """The commands of a page."""
    return [step.words for step in steps(page) if isinstance(step, Step)]


def alike(text: str) -> str:
    """Make digests and folders alike, and no difference of spaces at the ends of lines."""
    text = re.sub(r"sha256:[0-9a-f]+", "sha256:…", text)
    text = re.sub(r"/\S*/tagger\.toml", "…/tagger.toml", text)
    text = re.sub(r" +# ", " # ", text)
    lines = [line.rstrip() for line in text.strip().splitlines()]
    # Floating tags are pushed at the same time, and end in any order.
    pushed = [number for number, line in enumerate(lines) if line.startswith("tagger: pushed")]
    for number, line in zip(pushed, sorted(lines[number] for number in pushed), strict=True):
        lines[number] = line
    return "\n".join(lines)


# -- what exists before a page begins ------------------------------------------------------------------------------


def images(engine: Engine, *names: str) -> None:
    """Build images."""
    for name in names:
        engine.image(name, name)


def of_readme(engine: Engine, registry: Registry) -> None:
    """Prepare what the README shows."""
    images(engine, "image-gallery")
    gallery = Repository(registry, "image-gallery")
    gallery.image("2.1.105", "before")
    tagger.repair(str(gallery))
    builds(registry, "77")


def builds(registry: Registry, number: str) -> None:
    """Push builds that wait for their promotion."""
    ui = Repository(registry, "gallery/ui")
    ui.image(f"build-{number}", "gallery")
    for architecture in ("amd64", "arm64"):
        ui.image(f"build-{number}-{architecture}", architecture, platform=f"linux/{architecture}")


def of_ci(engine: Engine, registry: Registry) -> None:
    """Prepare what the page on CI shows."""
    images(engine, "image-gallery")
    builds(registry, "77")
    builds(registry, "78")


def of_after(engine: Engine, registry: Registry) -> None:
    """Prepare versions of some age, and what is to be pushed over one."""
    images(engine, "gallery:nightly")
    ui, api = Repository(registry, "gallery/ui"), Repository(registry, "gallery/api")
    for version in ("1.9.9", "2.1.104", "2.1.105", "2.1.106"):
        ui.image(version, version)
    for version in ("1.0.0", "1.0.1", "1.0.2", "1.0.3"):
        api.image(version, version)
    for repository in (ui, api):
        tagger.repair(str(repository))


def of_existing(_: Engine, registry: Registry) -> None:
    """Push what years leave in a repository."""
    ui = Repository(registry, "gallery/ui")
    for tag, text in YEARS.items():
        ui.image(tag, text, layers=1)


def of_commands(engine: Engine, registry: Registry) -> None:
    """Prepare what the examples of the commands name."""
    images(engine, "image-gallery")
    ui = Repository(registry, "gallery/ui")
    ui.image("build-77", "gallery")
    ui.image("2.0.0", "before")


def of_moving(engine: Engine, registry: Registry) -> None:
    """Prepare what other tools built."""
    images(engine, "gallery")
    Repository(registry, "gallery").image("v2.1.107-build", "gallery")


def of_fleet(_: Engine, registry: Registry) -> None:
    """Push two repositories whose tags are right."""
    for name, versions in (("gallery/api", ["1.0.0"]), ("gallery/ui", ["1.9.8", "1.9.9", "2.1.106"])):
        for version in versions:
            Repository(registry, name).image(version, version)
        tagger.repair(f"{HOST}/{name}")


BEFORE: Mapping[str, Callable[[Engine, Registry], None]] = {
    "README.md": of_readme,
    "docs/getting-started.md": lambda engine, _: images(engine, "image-gallery", "image-gallery:1.9"),
    "docs/settings.md": lambda engine, _: images(engine, "image-gallery"),
    "docs/gates.md": lambda engine, _: images(engine, "image-gallery"),
    "docs/ci.md": of_ci,
    "docs/output.md": lambda engine, _: images(engine, "image-gallery"),
    "docs/after.md": of_after,
    "docs/existing.md": of_existing,
    "docs/python.md": lambda engine, _: images(engine, "image-gallery"),
    "docs/moving.md": of_moving,
    "docs/fleet.md": of_fleet,
    **{f"docs/commands/{name}.md": of_commands for name in pages.commands()},
}


@pytest.fixture
def fresh(registry_local: Registry) -> Iterator[Registry]:
    """registry.local:5000 with nothing in it, before and after the test."""
    for ends in (False, True):
        shutil.rmtree(registry_local.root, ignore_errors=True)
        registry_local.restart()
        if not ends:
            yield registry_local


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A working directory that is a checkout of v2.1.106."""
    folder = tmp_path / "work"
    folder.mkdir()
    who = ["-c", "user.name=a", "-c", "user.email=a@example.invalid"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"], ["tag", "v2.1.106"]):
        subprocess.run(["git", *who, *words], cwd=folder, check=True)
    (folder / ".git/info/exclude").write_text("*\n")
    return folder


@pytest.mark.engine
@pytest.mark.parametrize("page", [page for page in PAGES if any(map(is_checked, steps(page)))])
@pytest.mark.usefixtures("on_the_path")
def test_a_page_does_what_it_shows(
    page: str, engine: Engine, fresh: Registry, work: Path, tell: Callable[[str], None]
) -> None:
    if page in BEFORE:
        BEFORE[page](engine, fresh)
    environment = {**os.environ, "DOCKER_HOST": engine.url}
    ran = 0
    for step in steps(page):
        if isinstance(step, Step):
            ran += _run(step, work, environment)
        elif step[0] == "toml":
            (work / "tagger.toml").write_text(_in_reach(step[1]))
        elif step[0] == "python":
            script = work / "example.py"
            script.write_text(step[1])
            _done([sys.executable, str(script)], work, environment)
            ran += 1
        elif step[0] == "json":
            SCHEMA.validate(json.loads(step[1]))
    for reference in engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split():
        if reference.startswith(("image-gallery:", "gallery:", HOST)) and not reference.endswith(":<none>"):
            engine.docker("image", "rm", reference)
    tell(f"{page}: {ran} commands run")


def _in_reach(settings: str) -> str:
    return settings.replace(', "registry.example:5000"', "")


def _run(step: Step, work: Path, environment: Mapping[str, str]) -> int:
    if step.words in ELSEWHERE:
        return 0
    said = _done(["bash", "-c", step.words], work, environment)
    if step.shown is not None:
        assert alike(said) == alike(step.shown), f"$ {step.words}"
    return 1


def _done(words: list[str], work: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        words, cwd=work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}"
    return done.stdout


def test_the_docs_name_every_command_that_runs_elsewhere() -> None:
    assert set(ELSEWHERE) <= {command for page in PAGES for command in commands(page)}


# -- pages that are made, and links --------------------------------------------------------------------------------


def test_the_pages_of_the_commands_are_what_the_help_says() -> None:
    for path, content in pages.pages().items():
        assert (DOCS / path).read_text() == content, "run `make docs`"
    assert {page.name for page in (DOCS / "commands").glob("*.md")} == {
        "README.md", *(f"{name}.md" for name in pages.commands()),
    }  # fmt: skip


def test_the_man_page_is_valid() -> None:
    text = (DOCS / "tagger.1").read_text()
    assert text.startswith(".TH TAGGER 1")
    assert not re.search(r"(?<!\\)'", text), "a quote begins a request"
    if shutil.which("man") and shutil.which("groff"):
        done = subprocess.run(
            ["man", "--warnings", "-l", str(DOCS / "tagger.1")],
            env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert "tagger promote" in done.stdout


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "SECURITY.md", "docs/commands/README.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    for target in LINK.findall((ROOT / page).read_text()):
        assert (ROOT / page).parent.joinpath(target).exists(), target


def test_the_schema_refuses_other_json() -> None:
    assert not SCHEMA.is_valid({"image": "a", "version": "1.0.0"})
    assert not SCHEMA.is_valid({"repository": "a", "ok": "yes", "drift": []})


@pytest.mark.parametrize("page", PAGES)
def test_every_yaml_that_a_page_shows_parses(page: str) -> None:
    for kind, content in FENCE.findall((ROOT / page).read_text()):
        if kind == "yaml":
            assert list(yaml.safe_load_all(content)), content


# -- the page about registries -------------------------------------------------------------------------------------


REGISTRIES = (DOCS / "registries.md").read_text()
SECTIONS = dict(re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", REGISTRIES, flags=re.MULTILINE | re.DOTALL))
VERSIONS = ("2.1.106", "2.1.107-rc.1", "2.1.106-alpine", "2.1.106-alpine3.20")
REBUILDS = ("2.1.106-r0", "2.1.106-r12", "2.1.106-r1-alpine")
FLOATS = ("2.1", "2", "latest", "2.1-alpine", "2-alpine", "alpine", "build-77")


@pytest.mark.parametrize("name", [name for name in HOSTS if not name.startswith("a registry ")])
def test_every_imitated_registry_has_its_section(name: str) -> None:
    (section,) = (text for title, text in SECTIONS.items() if title.partition(" (")[0] == name)
    parts = re.findall(r"^\*\*(.*?)\.\*\* (\w+)?", section, flags=re.MULTILINE)
    assert [part for part, _ in parts] == ["Login", "Rights", "Immutable tags", "Deleting", "Pitfalls"]
    assert "In GitLab" in section or name == "GitLab"
    assert ("rm" in HOSTS[name].refuses) is (dict(parts)["Deleting"] in ("Not", "As"))


def test_the_patterns_on_the_page_match_version_tags_and_no_floating_tag() -> None:
    of_versions, of_rebuilds = re.findall(r"^```text\n(\^.*)\n```$", REGISTRIES, flags=re.MULTILINE)
    for pattern, immutable in ((of_versions, (*VERSIONS, *REBUILDS)), (of_rebuilds, REBUILDS)):
        assert all(re.search(pattern, f"{prefix}{tag}") for tag in immutable for prefix in ("", "v"))
        assert not any(re.search(pattern, tag) for tag in (*FLOATS, "2.1-alpine3.20"))
    assert not any(re.search(of_rebuilds, tag) for tag in VERSIONS), "the plain tag follows its rebuilds"


@pytest.mark.parametrize(("name", "pattern"), [("Amazon ECR", "2.*.*"), ("Harbor", "*.*.*")])
def test_wildcards_match_only_those_floating_tags_of_variants_that_have_a_dot_as_the_page_says(
    name: str, pattern: str
) -> None:
    assert pattern in SECTIONS[name]
    assert all(fnmatchcase(tag, pattern) for tag in VERSIONS)
    assert not any(fnmatchcase(tag, pattern) for tag in FLOATS)
    assert fnmatchcase("2.1-alpine3.20", pattern)
    assert "2.1-alpine3.20" in SECTIONS[name]


@pytest.mark.parametrize("file", ["github.yml", "gitlab-ci.yml"])
def test_the_complete_workflows_on_the_page_are_the_examples(file: str) -> None:
    assert f"```yaml\n{(ROOT / 'examples' / file).read_text()}```\n" in REGISTRIES


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_a_page_leads_to_a_heading(page: str) -> None:
    for target in re.findall(r"\]\(([^):]*#[^)]+)\)", (ROOT / page).read_text()):
        file, _, anchor = target.partition("#")
        text = ((ROOT / page).parent / file if file else ROOT / page).read_text()
        headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
        assert anchor in {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target
