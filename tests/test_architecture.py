"""Data flows one way: a module imports only what it rests on, and the pure ones reach nothing outside."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tagger

ROOT = Path(tagger.__file__).parents[1]
PACKAGE = ROOT / "tagger"

# Each module, and the modules that it rests on directly; it may import those, and whatever they rest on.
RESTS_ON: dict[str, set[str]] = {
    "errors": set(),
    "challenge": set(),
    "progress": set(),
    "options": set(),
    "outputs": {"errors"},
    "terminal": {"report", "progress"},
    "signals": {"terminal"},
    "reference": {"errors"},
    "cascade": {"reference"},
    "config": {"cascade"},
    "checkout": {"cascade"},
    "completion": {"errors"},
    "labels": {"cascade"},
    "manifest": {"reference"},
    "attached": {"reference"},
    "plan": {"cascade"},
    "result": {"plan"},
    "patience": {"errors"},
    "observe": {"plan", "manifest", "patience"},
    "platforms": {"observe"},
    "settle": {"observe"},
    "drift": {"settle", "ending", "platforms"},
    "listing": {"drift"},
    "ending": {"errors"},
    "placeholder": {"manifest"},
    "removal": {"drift", "attached", "ending"},
    "successor": {"drift"},
    "withdrawal": {"removal"},
    "retention": {"removal", "blobs"},
    "share": {"settle"},
    "undo": {"share"},
    "steps": {"undo", "result", "progress", "platforms"},
    "credentials": {"reference", "patience"},
    "hosts": {"reference"},
    "refusal": set(),
    "proxies": {"reference"},
    "transport": {"proxies", "patience", "hosts", "refusal"},
    "connection": {"credentials", "challenge", "transport"},
    "blobs": {"connection", "manifest"},
    "taglist": {"connection"},
    "registry": {"blobs", "attached", "index", "taglist", "hosts", "placeholder"},
    "index": {"manifest"},
    "original": {"index", "registry"},
    "promotion": {"original", "progress"},
    "engine": {"credentials", "patience", "progress"},
    "finding": {"reference"},
    "doctor": {"access", "config", "finding"},
    "report": {"result", "listing", "withdrawal", "finding"},
    "access": {"share", "registry", "engine"},
    "api": {
        "steps",
        "listing",
        "removal",
        "successor",
        "withdrawal",
        "retention",
        "promotion",
        "access",
        "doctor",
        "checkout",
        "labels",
    },
    "cli": {"api", "completion", "config", "report", "options", "outputs", "signals"},
    "__main__": {"cli"},
}
PURE = (
    "errors",
    "reference",
    "cascade",
    "labels",
    "config",
    "plan",
    "manifest",
    "attached",
    "placeholder",
    "index",
    "result",
    "finding",
    "hosts",
    "refusal",
)
IMPURE = ("docker", "requests", "urllib3", "http.client", "urllib.request", "socket", "ssl", "subprocess", "asyncio")


def modules_after(statement: str) -> set[str]:
    """Name the modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def imports(module: str) -> set[str]:
    """Name the modules of the package that a module imports when it runs, at its top or later."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in set(ast.walk(tree)) - for_types:
        if isinstance(node, ast.Import):
            found |= {name.name.removeprefix("tagger.") for name in node.names if name.name.startswith("tagger.")}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            if node.module == "tagger":
                found |= {name.name for name in node.names if (PACKAGE / f"{name.name}.py").exists()}
            elif node.module and node.module.startswith("tagger."):
                found.add(node.module.removeprefix("tagger."))
    return found


def beneath(module: str) -> set[str]:
    """Name all that a module rests on."""
    return RESTS_ON[module].union(*(beneath(lower) for lower in RESTS_ON[module]))


def test_every_module_has_its_place() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"} == RESTS_ON.keys()


@pytest.mark.parametrize("module", RESTS_ON)
def test_a_module_imports_only_what_it_rests_on(module: str) -> None:
    assert imports(module) <= beneath(module)


def test_imports_are_seen_wherever_they_stand() -> None:
    assert imports("cli") >= {"errors", "api", "report"}
    assert "reference" not in imports("errors"), "an import for types alone is none"


def test_the_steps_of_a_release_know_neither_engine_nor_registry() -> None:
    assert not imports("steps") & {"engine", "registry", "connection", "credentials"}
    assert not modules_after("import tagger.steps") & {
        "tagger.engine",
        "tagger.registry",
        "tagger.connection",
        "docker",
    }


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_reaches_nothing_outside(module: str) -> None:
    bare = modules_after("pass")
    assert not (modules_after(f"import tagger.{module}") - bare) & {*IMPURE}


def test_the_impure_would_be_seen() -> None:
    assert {"urllib3", "ssl", "socket"} <= modules_after("import tagger.connection")


def test_importing_the_package_imports_nothing_else() -> None:
    loaded = modules_after("import tagger") - modules_after("from typing import TYPE_CHECKING, Any")
    assert {name for name in loaded if name != "__future__"} == {"tagger"}


def test_the_command_line_starts_without_the_engine_and_the_registry() -> None:
    assert not modules_after("import tagger.cli") & {
        "docker",
        "requests",
        "urllib3",
        "tagger.engine",
        "tagger.registry",
    }


def modules_of(words: str) -> set[str]:
    """Name the modules that a command loads."""
    ran = f"import sys\nfrom tagger.cli import app\ntry: app({words.split()!r})\nexcept SystemExit: pass"
    return modules_after(ran)


@pytest.mark.parametrize("words", ["tags 2.1.106", "release --help"])
def test_a_command_that_asks_nobody_imports_nothing_to_ask_with(words: str) -> None:
    assert not modules_of(words) & {"rich", "docker", "requests", "urllib3"}


@pytest.mark.parametrize("words", ["--version", "--help"])
def test_the_version_and_the_list_of_commands_need_neither_pydantic_nor_rich(words: str) -> None:
    assert not modules_of(words) & {"pydantic", "rich", "docker", "requests", "urllib3"}


def test_the_command_line_uses_of_typer_only_what_typer_documents() -> None:
    used = {
        ast.unparse(node)
        for path in PACKAGE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom) and "typer" in ast.unparse(node)
    }
    assert used == {"import typer"}, "a class or function of another module may change at any time"


# -- the public names ------------------------------------------------------------------------------------------------


def test_the_public_names_are_sorted_and_are_what_type_checkers_see() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    typed = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tagger.")
        for alias in node.names
    }
    assert tagger.__all__ == sorted({*typed, "__version__"})
    assert {*tagger.__all__} <= {*dir(tagger)}


def test_no_module_hides_a_public_name() -> None:
    assert not {*tagger.__all__} & RESTS_ON.keys(), "importing tagger.NAME would replace what tagger.NAME is"


@pytest.mark.parametrize("name", [name for name in tagger.__all__ if name != "__version__"])
def test_a_public_name_is_there_and_says_what_it_is(name: str) -> None:
    found = getattr(tagger, name)
    assert found.__doc__
    assert found.__doc__.strip()[0].isupper()


def test_a_name_that_is_not_public_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'tagger' has no attribute 'nonsense'"):
        tagger.nonsense  # noqa: B018 - asking is the test


def test_a_star_import_gives_every_public_name() -> None:
    given: dict[str, object] = {}
    exec("from tagger import *", given)
    assert {*tagger.__all__} <= given.keys()
