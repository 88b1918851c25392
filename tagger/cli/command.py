"""How a function becomes a command: its groups of options become options, and its help is shown in sections."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, TypeVar, cast, get_type_hints

import typer
import typer.core

from tagger.cli.options import OUTPUT, PANELS, Field, Verbose
from tagger.cli.render.field import asking

Function = TypeVar("Function", bound=Callable[..., None])
_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_ARGUMENTS, _OPTIONS = "Arguments", "Options"

SECTIONS = RELEASE, LOOK, FIX, CLEAN_UP, SET_UP = "Release", "Look", "Fix", "Clean up", "Set up"
"""The sections in which the help shows commands."""


def command(app: typer.Typer, section: str, name: str | None = None) -> Callable[[Function], Function]:
    """Register a function as a command in a section of the help.

    A parameter whose type is a dataclass becomes an option for each of its fields, and of the groups among them. A
    command with --json gets --field, and every command --verbose.
    """

    def register(function: Function) -> Function:
        app.command(name, cls=Command, rich_help_panel=section)(_flat(function))
        return function

    return register


def _flat(function: Callable[..., None]) -> Callable[..., None]:
    """Return the same function with a parameter for each option of its groups."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in groups:
            parameters += _options(groups[name])
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=_KEYWORD))
    names = [each.name for each in parameters]
    if "as_json" in names:
        field = inspect.Parameter("field", _KEYWORD, default=None, annotation=Field)
        parameters.insert(names.index("as_json") + 1, field)
    if "verbose" not in names:
        parameters.append(inspect.Parameter("verbose", _KEYWORD, default=False, annotation=Verbose))

    @functools.wraps(function)
    def flat(**words: Any) -> None:
        field = words.pop("field", None)
        if "verbose" not in names:
            del words["verbose"]  # it counts anywhere on the command line
        if field is not None:
            words["as_json"] = True
        made = {name: _made(group, words) for name, group in groups.items()}
        with asking(field):
            function(**words, **made)

    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect documents it
    flat.__annotations__ = {each.name: each.annotation for each in parameters}
    return flat


@functools.cache  # most commands share their groups, and reading one is slow
def _options(group: Any) -> tuple[inspect.Parameter, ...]:
    """Return the options of a group, and of the groups in it."""
    found: list[inspect.Parameter] = []
    for each, hint in _fields(group).items():
        if is_dataclass(hint):
            found += _options(cast("type", hint))
        else:
            default = group.__dataclass_fields__[each].default
            found.append(inspect.Parameter(each, _KEYWORD, default=default, annotation=hint))
    return (*found,)


def _made(group: Any, words: dict[str, Any]) -> Any:
    """Make a group from its words, and remove them from the others."""
    return group(
        **{each: _made(hint, words) if is_dataclass(hint) else words.pop(each) for each, hint in _fields(group).items()}
    )


@functools.cache
def _fields(group: Any) -> dict[str, Any]:
    """Return the fields of a group, and the annotation of each."""
    return get_type_hints(group, include_extras=True)


# -- help ----------------------------------------------------------------------------------------------------------


class Command(typer.core.TyperCommand):
    """A command that shows its options in sections, without rich, which is slow to import."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write how the command is called (click, "Command.format_usage")."""
        formatter.write_usage(ctx.command_path, f"{arguments(self)} [OPTIONS]".strip())

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help (click, "Command.format_help")."""
        self.format_usage(ctx, formatter)
        _write_text(formatter, self)
        for title, rows in sections(self, ctx):
            with formatter.section(title):
                formatter.write_dl(rows)


class Group(typer.core.TyperGroup):
    """The program, which shows its commands in sections."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write how the program is called (click, "Command.format_usage")."""
        formatter.write_usage(ctx.command_path, "COMMAND [OPTIONS]")

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help (click, "Command.format_help")."""
        self.format_usage(ctx, formatter)
        _write_text(formatter, self)
        for title, commands in panels(self):
            with formatter.section(title):
                formatter.write_dl([(name, paragraphs(each)[0]) for name, each in commands])
        for title, rows in sections(self, ctx):
            with formatter.section(title):
                formatter.write_dl(rows)


def _write_text(formatter: Any, command: Any) -> None:
    for paragraph in paragraphs(command):
        formatter.write_paragraph()
        with formatter.indentation():
            if paragraph.startswith("Example: "):  # for copying, so it stays one line
                formatter.write(f"{'':>{formatter.current_indent}}{paragraph}\n")
            else:
                formatter.write_text(paragraph)


def paragraphs(command: Any) -> list[str]:
    """Return the paragraphs of a command's help, each in one line."""
    return [" ".join(part.split()) for part in str(command.help).strip().split("\n\n")]


def arguments(command: Any) -> str:
    """Return the arguments that follow a command's name, the optional ones in brackets."""
    return " ".join(each.metavar for each in command.params if each.param_type_name == "argument")


def panels(group: Any) -> list[tuple[str, list[tuple[str, Any]]]]:
    """Return the sections of the list of commands, each with its commands by name."""
    found: dict[str, list[tuple[str, Any]]] = {title: [] for title in SECTIONS}
    for name, command in group.commands.items():
        found[command.rich_help_panel].append((name, command))
    return list(found.items())


def sections(command: Any, context: Any = None) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the sections of a command's help: each argument or option, and what it does."""
    found: dict[str, list[tuple[str, str]]] = {title: [] for title in (_ARGUMENTS, _OPTIONS, *PANELS)}
    for each in command.get_params(context) if context else command.params:
        if each.param_type_name == "argument":
            found[_ARGUMENTS].append((each.metavar.strip("[]."), each.help))
        else:
            value = f" {each.metavar}" if each.metavar else ""
            panel = OUTPUT if each.name == "help" else getattr(each, "rich_help_panel", None)
            found[panel or _OPTIONS].append(
                (", ".join(sorted([*each.opts, *each.secondary_opts], key=len)) + value, each.help)
            )
    return [(title, rows) for title, rows in found.items() if rows]
