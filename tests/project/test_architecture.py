"""Data flows one way: a folder imports only the folders that it rests on, and the pure ones reach nothing outside."""

import ast
import subprocess
import sys
from dataclasses import fields
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import typer

import tagger
from tagger.cli.options import Access
from tagger.cli.release_options import ReleaseOptions
from tagger.cli.run import COMMANDS, program
from tagger.wiring import options

ROOT = Path(tagger.__file__).parents[1]
PACKAGE = ROOT / "tagger"

# Each folder or module at the top, and what it rests on directly; it may import that, and whatever that rests on.
RESTS_ON: dict[str, set[str]] = {
    "text": set(),
    "values": set(),
    "errors": {"text", "values"},
    "events": {"values"},
    "names": {"errors"},
    "image_name": {"names"},
    "work": {"errors"},
    "rules": {"names"},
    "oci": {"names"},
    "credentials": {"names", "work"},
    "gating": {"names", "work"},
    "engine": {"credentials", "events", "image_name"},
    "registry": {"credentials", "oci"},
    "repository": {"rules", "oci", "work"},
    "releasing": {"repository", "events", "gating"},
    "promoting": {"registry", "events"},
    "config": {"rules", "gating", "image_name"},
    "git": {"rules"},
    "wiring": {"engine", "registry", "releasing", "promoting", "git"},
    "doctor": {"wiring", "config"},
    "api": {"doctor"},
    "fleet": {"names"},
    "cli": {"api", "fleet"},
    "__main__": {"cli"},
}
PURE = (
    "text",
    "values",
    "errors",
    "names",
    "image_name",
    "rules",
    "oci",
    "config.settings",
    "config.read",
    "releasing.decision",
    "releasing.outcome",
    "releasing.report",
    "doctor.finding",
    "fleet.entry",
    "fleet.metrics",
    "fleet.names",
    "fleet.plan",
    "fleet.tally",
    "credentials.credential",
    "engine.push_stream",
    "gating.command",
    "registry.challenge",
    "registry.hosts",
    "registry.proxies",
    "registry.quota",
    "registry.refusal",
    "registry.url",
)
IMPURE = ("docker", "requests", "urllib3", "http.client", "urllib.request", "socket", "ssl", "subprocess", "asyncio")


def modules_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def name_of(path: Path) -> str:
    """The name of a file's module below the package: `rules.scheme`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"}


def imports(module: str) -> set[str]:
    """The modules of the package that a module imports: at its top, later, or for types."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.removeprefix("tagger.") for name in node.names if name.name.startswith("tagger.")}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            if node.module and node.module.split(".")[0] == "tagger":
                found |= {home(f"{node.module}.{name.name}".removeprefix("tagger.")) for name in node.names}
    return found - {""}


def home(name: str) -> str:
    """The module that `name` is, or that contains it."""
    return name if name in MODULES else name.rpartition(".")[0]


def beneath(folder: str) -> set[str]:
    """All folders that a folder rests on."""
    return RESTS_ON[folder].union(*(beneath(lower) for lower in RESTS_ON[folder]))


def test_every_folder_has_its_place() -> None:
    assert {module.split(".")[0] for module in MODULES} == RESTS_ON.keys()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_folder_may_use(module: str) -> None:
    folder = module.split(".", maxsplit=1)[0]
    assert {imported.split(".")[0] for imported in imports(module)} <= beneath(folder) | {folder}


def test_no_modules_import_each_other_in_a_circle_not_even_for_types() -> None:
    TopologicalSorter({module: imports(module) - {module} for module in MODULES}).prepare()


@pytest.mark.parametrize("folder", [name for name, path in MODULES.items() if path.name == "__init__.py"])
def test_every_folder_says_what_belongs_there(folder: str) -> None:
    assert ast.get_docstring(ast.parse(MODULES[folder].read_text()))


def test_imports_are_found_wherever_they_are() -> None:
    assert imports("cli.settings") >= {"errors", "wiring.access", "config.read", "cli.options", "rules.scheme"}


def test_the_steps_of_a_release_know_neither_engine_nor_registry() -> None:
    assert not modules_after("import tagger.releasing.steps") & {
        "tagger.engine.client",
        "tagger.registry.repository",
        "tagger.registry.connection",
        "docker",
    }


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_reaches_nothing_outside(module: str) -> None:
    bare = modules_after("pass")
    within = [f"tagger.{name}" for name in MODULES if f"{name}.".startswith(f"{module}.")]
    assert not (modules_after(f"import {', '.join(within)}") - bare) & {*IMPURE}


def test_an_impure_module_would_be_found() -> None:
    assert {"urllib3", "ssl", "socket"} <= modules_after("import tagger.registry.connection")


def test_importing_the_package_imports_nothing_else() -> None:
    loaded = modules_after("import tagger") - modules_after("from typing import TYPE_CHECKING, Any")
    assert {name for name in loaded if name != "__future__"} == {"tagger"}


def test_the_command_line_starts_without_the_engine_and_the_registry() -> None:
    assert not modules_after("import tagger.cli.run") & {
        "docker",
        "requests",
        "urllib3",
        "tagger.engine.client",
        "tagger.registry.repository",
    }


def modules_of(words: str) -> set[str]:
    """The modules that a command loads."""
    run = f"from tagger.cli.run import program\nwords = {words.split()!r}\n"
    return modules_after(run + "try: program(words)(words)\nexcept SystemExit: pass")


@pytest.mark.parametrize("words", ["tags 2.1.106", "release --help"])
def test_a_command_without_requests_imports_no_client(words: str) -> None:
    assert not modules_of(words) & {"rich", "docker", "requests", "urllib3"}


def test_a_command_is_registered_without_the_modules_of_the_others() -> None:
    homes = {name: f"tagger.cli.{module}" for module, names in COMMANDS.items() for name in names.split()}
    registered = typer.main.get_command(program()).commands  # type: ignore[attr-defined]  # it is a group
    assert homes == {name: each.callback.__module__ for name, each in registered.items()}
    assert modules_of("tags 2.1.106") & {*homes.values()} == {"tagger.cli.tags"}
    assert not modules_of("--version") & {*homes.values()}


@pytest.mark.parametrize("words", ["--version", "--help"])
def test_the_version_and_the_list_of_commands_need_neither_pydantic_nor_rich(words: str) -> None:
    assert not modules_of(words) & {"pydantic", "rich", "docker", "requests", "urllib3"}


def test_the_command_line_uses_only_the_documented_parts_of_typer() -> None:
    used = {
        ast.unparse(node)
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom) and "typer" in ast.unparse(node)
    }
    # typer.core has the classes that Typer(cls=...) and command(cls=...) are documented to take.
    assert used == {"import typer", "import typer.core"}, "what is not documented may change at any time"


def test_the_python_api_takes_every_option_of_the_groups_that_it_receives() -> None:
    handed_on = {each.name for group in (Access, ReleaseOptions) for each in fields(group)}
    assert handed_on - {"verbose"} <= options.ReleaseOptions.__annotations__.keys()


# -- the public names ------------------------------------------------------------------------------------------------


def test_the_public_names_are_sorted_and_visible_to_type_checkers() -> None:
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
def test_every_public_name_exists_and_has_a_docstring(name: str) -> None:
    found = getattr(tagger, name)
    assert found.__doc__
    assert found.__doc__.strip()[0].isupper()


def test_a_name_that_is_not_public_does_not_exist() -> None:
    with pytest.raises(AttributeError, match="module 'tagger' has no attribute 'nonsense'"):
        tagger.nonsense  # noqa: B018 - asking is the test


def test_a_star_import_gives_every_public_name() -> None:
    given: dict[str, object] = {}
    exec("from tagger import *", given)
    assert {*tagger.__all__} <= given.keys()
