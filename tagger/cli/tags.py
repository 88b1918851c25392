"""The command `tags`, which starts faster than the commands that ask a registry."""

from __future__ import annotations

from typing import Annotated

import typer

from tagger.cli.app import app
from tagger.cli.command import LOOK, command
from tagger.cli.failure import failing
from tagger.cli.options import BuildMetadata, Rules
from tagger.cli.render.console import show
from tagger.cli.settings import given, in_force


@command(app, LOOK)
def tags(
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="Such as 2.1.106. git means the semver tag at HEAD.")
    ],
    *,
    rules: Rules,
    build_metadata: BuildMetadata = "refuse",
) -> None:
    """Print the tags that a version gets, without asking a registry.

    There is one tag per line, the most specific first.
    """
    from tagger.git import parse_asked
    from tagger.rules.lines import numbering_of

    with failing():
        found = in_force(given(rules), None)
        schemes, form = found.schemes(), found.settings.git_tag
        wanted = parse_asked(version, numbering_of(schemes), build_metadata=build_metadata, git_tag=form).version
        show("\n".join(tag for scheme in schemes for tag in scheme.tags(wanted)))
