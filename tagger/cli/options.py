"""The words of the command line that several commands take, each said once."""

from __future__ import annotations

from typing import Annotated

import typer

RepositoryArgument = Annotated[
    str, typer.Argument(metavar="REPOSITORY", help="Such as registry.local:5000/gallery/ui.")
]
Registry = Annotated[
    list[str] | None,
    typer.Option(metavar="HOST[:PORT]", help="The registry; else IMAGE's own, else Docker Hub. May be repeated."),
]
RepositoryPath = Annotated[
    str | None, typer.Option(metavar="PATH", help="The repository in the registry; else IMAGE's own.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and write nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal.")]
Variant = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A line whose tags end in -NAME; 'default' is the plain one. May be repeated."),
]
Prefix = Annotated[str | None, typer.Option(metavar="TEXT", help="What stands before versions in tags, such as v.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Insecure = Annotated[
    list[str] | None, typer.Option(metavar="HOST[:PORT]", help="A registry that may be reached without TLS.")
]
AuthHost = Annotated[
    list[str] | None, typer.Option(metavar="HOST", help="A token server on another host than its registry's.")
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Show every request with its time on stderr, and where tagger itself failed; never a credential.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a version that holds another image.")]
AssumeNewest = Annotated[bool, typer.Option("--assume-newest", help="Do not ask which other versions are published.")]
Version = Annotated[
    str | None,
    typer.Argument(metavar="VERSION", help="Such as 2.1.106 or v3.0.0-rc.1; or git: the semver tag at HEAD."),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Refuse an image whose labels do not say this version and, with git, this commit."),
]
Summary = Annotated[
    str | None, typer.Option(metavar="FILE", help="Append what happened as Markdown, such as to $GITHUB_STEP_SUMMARY.")
]
EnvFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Append TAGGER_VERSION, _DIGEST, _TAGS and more, NAME=VALUE a line, lists with commas between.",
    ),
]
Annotate = Annotated[
    bool | None,
    typer.Option(
        "--annotate/--no-annotate",
        help="Show errors and warnings as GitHub Actions annotations. Default: on there.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Hide progress; print only the result.")]
Timeout = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Give up after this, putting tags back included.")
]
BuildMetadata = Annotated[
    str, typer.Option(metavar="refuse|drop", help="What to do with +build metadata, which a tag cannot hold.")
]
