"""The same result as text for a person and as JSON for a program.

Each result has a `*_text` and a `*_content`, the latter made of what JSON knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tagger.names import SHORT_DIGEST, Digest, Repository
from tagger.releasing.outcome import Outcome, Release, Released
from tagger.rules.plan import Action, Change
from tagger.rules.spelling import DEFAULT_VARIANT
from tagger.rules.version import yanked_by
from tagger.text import in_lines, neutral_json, printable

if TYPE_CHECKING:
    from tagger.doctor.finding import Diagnosis, Finding
    from tagger.repository.check import Check, Incomplete
    from tagger.repository.floating import Floating, Move
    from tagger.repository.listing import Listing
    from tagger.repository.prune import Pruning
    from tagger.repository.remove import Removal
    from tagger.repository.repair import Repair
    from tagger.repository.yank import Yank

_OTHER_TAGS = 50
_HOLDERS = 3
_LONGEST_VALUE = 20_000
_HARMLESS = re.compile(r"[A-Za-z0-9._:/@,+-]*")
_PARTS = re.compile(r"(\(*)(.*?)([).,;:]*)")
_PROSE = re.compile(r"(?:v?\d+(?:\.\d+)*|[A-Za-z]+(?:['-][A-Za-z]+)*)?")
_BAR = r"\x7c"


def as_json(content: dict[str, Any]) -> str:
    """Write one JSON object, in ASCII."""
    return neutral_json(json.dumps(content, indent=2))


def release_content(release: Release) -> dict[str, Any]:
    """Give a release as a JSON object; warnings, variants and images are told where there is something to tell."""
    several = len({released.image for released in release.repositories}) > 1
    return {
        "image": release.image,
        "version": release.version,
        "dry_run": release.dry_run,
        "outcome": release.outcome,
        "error": release.error,
        **({"warnings": list(release.warnings)} if release.warnings else {}),
        "repositories": [_repository(released, several=several) for released in release.repositories],
    }


def release_text(release: Release) -> str:
    """Write a release as lines: for each repository what happens to each tag and why, and then the outcome."""
    return in_lines(_lines(release))


def _lines(release: Release) -> Iterator[str]:
    for released in release.repositories:
        yield heading(release, released)
        yield from (f"  {_change(change)}" for change in released.changes)
    yield from (f"note: {warning}" for warning in release.warnings)
    if said := verdict(release):
        yield said


def heading(release: Release, released: Released) -> str:
    """Name where something happened: the repository, and the variant and image where there are several."""
    several = len({each.image for each in release.repositories}) > 1
    variant = "" if released.variant == DEFAULT_VARIANT else f" ({released.variant})"
    return f"{released.repository}{variant}" + (f" from {released.image}" if several else "")


def verdict(release: Release) -> str | None:
    """Say how a release ended; None for a failure, which its error tells."""
    where = ", ".join(dict.fromkeys(f"{r.repository}@{r.digest}" for r in release.repositories if r.digest))
    match release.outcome:
        case Outcome.PLANNED:
            return "dry run: nothing was written"
        case Outcome.RELEASED:
            return f"released {release.version} as {where}"
        case Outcome.UNCHANGED:
            return f"unchanged: {release.version} is already released as {where}"
        case _:
            return None


def _change(change: Change) -> str:
    detail = "; ".join(part for part in (movement(change), change.reason) if part)
    return f"{change.action} {change.tag}" + (f": {detail}" if detail else "")


def movement(change: Change) -> str:
    """Say from where to where a tag goes."""
    match change.action:
        case Action.CREATE:
            return _short(change.after) if change.after else ""
        case Action.MOVE:
            return f"{_short(change.before)} to {_short(change.after)}"
        case Action.UNCHANGED:
            return _short(change.after)
        case _:
            return ""


def _short(digest: Digest | None) -> str:
    return digest[:SHORT_DIGEST] if digest else "the new image"


def _repository(released: Released, *, several: bool) -> dict[str, Any]:
    return {
        "repository": str(released.repository),
        **({"image": released.image} if several else {}),
        **({"variant": released.variant} if released.variant != DEFAULT_VARIANT else {}),
        "digest": released.digest,
        "tags": [
            {
                "tag": change.tag,
                "reference": f"{released.repository}:{change.tag}",
                "action": change.action,
                "before": change.before,
                "after": change.after,
                "reason": change.reason,
            }
            for change in released.changes
        ],
    }


# -- what a CI system reads ----------------------------------------------------------------------------------------


def release_markdown(release: Release) -> str:
    """Write a release as Markdown: what happened to each tag, the digests, and how to pull the image."""
    return "\n".join(_markdown(release)) + "\n\n"


def release_variables(release: Release) -> str:
    """Write a release as lines of NAME=VALUE: what CI systems take for outputs or a dotenv file.

    Several tags, digests or references have commas between; TAGGER_REFERENCE is the first one alone. No value has
    anything that a shell or a dotenv file would take for more than text. After a failure they name what is there:
    nothing, or the version tag.
    """
    standing = () if release.outcome is Outcome.REFUSED else release.repositories
    held = [(r, change) for r in standing for change in r.changes if r.digest and change.after == r.digest]
    references = [f"{r.repository}@{r.digest}" for r, _ in held]
    values: dict[str, Sequence[object]] = {
        "TAGGER_OUTCOME": [release.outcome],
        "TAGGER_VERSION": [release.version],
        "TAGGER_DIGEST": [r.digest for r, _ in held],
        "TAGGER_TAGS": [change.tag for _, change in held],
        "TAGGER_REFERENCE": references[:1],
        "TAGGER_REFERENCES": references,
    }
    lines = {name: ",".join(dict.fromkeys(str(each) for each in found)) for name, found in values.items()}
    return "".join(f"{name}={value if _HARMLESS.fullmatch(value) else ''}\n" for name, value in lines.items())


def _markdown(release: Release) -> Iterator[str]:
    yield f"### {release.outcome.capitalize()}: {_plain(f'{release.image} {release.version}')}"
    yield ""
    if release.error:
        yield from (f"> **{_plain(release.error)}**", "")
    yield from (line for warning in release.warnings for line in (f"> note: {_plain(warning)}", ""))
    if not release.repositories:
        return
    yield "| what | tag | digest | why |"
    yield "| --- | --- | --- | --- |"
    for released in release.repositories:
        for change in released.changes:
            digest = _code(_short(change.after)) if change.after else ""
            why = "see above" if change.action is Action.REFUSE else change.reason or ""
            yield _row(change.action, _code(f"{released.repository}:{change.tag}"), digest, _plain(why))
    where = dict.fromkeys(f"{r.repository}@{r.digest}" for r in release.repositories if r.digest)
    if where and release.outcome in (Outcome.RELEASED, Outcome.UNCHANGED):
        yield from ("", "```sh", *(f"docker pull {reference}" for reference in where), "```")


def _plain(text: str) -> str:
    r"""Write text so that Markdown, GitHub's and GitLab's included, shows it as it is: what is not prose is code.

    >>> print(_plain("see https://registry.local or @gallery: 2.1 costs $5 (**not** 3)"))
    see `https://registry.local` or `@gallery`: 2.1 costs `$5` (`**not**` 3)
    """
    return " ".join(map(_word, printable(text, _LONGEST_VALUE).split()))


def _word(word: str) -> str:
    begin, body, end = _PARTS.fullmatch(word).groups()  # type: ignore[union-attr] # it matches any word
    return word if _PROSE.fullmatch(body) else f"{begin}{_code(body)}{end}"


def _code(text: str) -> str:
    """Write a code span, where nothing means anything, behind more backticks than it holds in a row."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in (text[0], text[-1]) else ""
    return f"{fence}{space}{text}{space}{fence}"


def _row(*cells: str) -> str:
    """Write a row of a table; no escape of what parts its cells is read alike everywhere."""
    return f"| {' | '.join(cell.replace('|', _BAR) for cell in cells)} |"


# -- what reads and mends a repository -----------------------------------------------------------------------------


def listing_text(listing: Listing) -> str:
    """Write versions in columns, then what drifted, then the other tags."""
    return in_lines(_listing_lines(listing))


def listing_content(listing: Listing) -> dict[str, Any]:
    """Give a listing as a JSON object."""
    return {
        "repository": str(listing.repository),
        "versions": [
            {"version": str(row.version), "tag": row.tag, "digest": row.digest, "floating": list(row.floating)}
            for row in listing.versions
        ],
        "floating": [_floating(state) | {"ok": state.ok} for state in listing.floating],
        "other": list(listing.other),
    }


def check_text(check: Check) -> str:
    """Write what was checked and what was not, and what drifted, a line each."""
    drifted = f"{len(check.drift)} drifted" if check.drift else "no drift"
    drifted += f", {len(check.incomplete)} incomplete" if check.incomplete else ""
    checked = f"{len(check.checked)} floating {'tag' if len(check.checked) == 1 else 'tags'} checked"
    others = f"; not looked at: {_some(check.not_looked_at)}" if check.not_looked_at else ""
    lines = [_drift(state, check.repository) for state in check.drift]
    lines += [
        f"  {tag} holds a placeholder, since its removal broke off: run tagger rm {check.repository} {tag} again"
        for tag in check.half_removed
    ]
    lines += map(_gone, check.incomplete)
    return in_lines([f"{check.repository}: {drifted}, {checked}{others}", *lines])


def check_content(check: Check) -> dict[str, Any]:
    """Give a check as a JSON object."""
    return {
        "repository": str(check.repository),
        "ok": check.ok,
        "drift": [_floating(state) for state in check.drift],
        "checked": list(check.checked),
        "not_looked_at": list(check.not_looked_at),
        **({"half_removed": list(check.half_removed)} if check.half_removed else {}),
        **({"incomplete": list(map(_incomplete, check.incomplete))} if check.incomplete else {}),
    }


def repair_text(repair: Repair) -> str:
    """Write what moved, or would move, a line each."""
    notes = [f"note: {warning}" for warning in repair.warnings]
    if not repair.repaired and not repair.removed:
        return in_lines([f"{repair.repository}: nothing to repair", *notes])
    done = [*map(_move, repair.repaired), *(f"  remove {tag}: its removal had broken off" for tag in repair.removed)]
    return in_lines([str(repair.repository), *done, *notes, *_nothing_written(repair.dry_run)])


def repair_content(repair: Repair) -> dict[str, Any]:
    """Give a repair as a JSON object."""
    return {
        "repository": str(repair.repository),
        "dry_run": repair.dry_run,
        "repaired": [_moved(move) for move in repair.repaired],
        **({"removed": list(repair.removed)} if repair.removed else {}),
        **({"warnings": list(repair.warnings)} if repair.warnings else {}),
    }


def removal_text(removal: Removal) -> str:
    """Write which floating tags fell back and what was removed, a line each."""
    lines = [*map(_move, removal.moved), *(f"  remove {tag}" for tag in removal.removed)]
    return in_lines([str(removal.repository), *lines, *_nothing_written(removal.dry_run)])


def pruning_text(pruning: Pruning) -> str:
    """Write what was pruned, and what stays though its number would let it go."""
    begins = [removal_text(pruning)] if pruning.removed else [f"{pruning.repository}: nothing to prune"]
    held = [f"{tag} ({_some(by, _HOLDERS)})" for tag, by in pruning.held]
    lines = [("held by other tags", held), ("not understood", pruning.not_understood)]
    return "\n".join([*begins, *(f"  {what}: {_some(names)}" for what, names in lines if names)])


def pruning_content(pruning: Pruning) -> dict[str, Any]:
    """Give what was pruned as a JSON object."""
    return {
        **removal_content(pruning),
        "held": [{"tag": tag, "by": list(by)} for tag, by in pruning.held],
        "not_understood": list(pruning.not_understood),
    }


def removal_content(removal: Removal) -> dict[str, Any]:
    """Give a removal as a JSON object."""
    return {
        "repository": str(removal.repository),
        "dry_run": removal.dry_run,
        "removed": list(removal.removed),
        "moved": [_moved(move) for move in removal.moved],
    }


def yank_text(yank: Yank) -> str:
    """Write what a yanked version is kept under, what moved and went, and who still gets it."""
    kept = [f"  image kept as {', '.join(yank.marks)}: {', '.join(map(_short, yank.digests))}"]
    removed = [f"  remove {tag}" for tag in yank.removed]
    still = f"still pulled by whoever names {' or '.join(yank.digests)}"
    others = f", and by {', '.join(yank.kept)}" if yank.kept else ""
    notes = [f"note: {warning}" for warning in yank.warnings]
    lines = [*kept, *map(_move, yank.moved), *removed, still + others, *notes, *_nothing_written(yank.dry_run)]
    return in_lines([str(yank.repository), *lines])


def yank_content(yank: Yank) -> dict[str, Any]:
    """Give a yank as a JSON object."""
    return {
        "repository": str(yank.repository),
        "dry_run": yank.dry_run,
        "version": str(yank.version),
        "yanked": list(yank.marks),
        "digests": list(yank.digests),
        "moved": [_moved(move) for move in yank.moved],
        "removed": list(yank.removed),
        "kept": list(yank.kept),
        **({"warnings": list(yank.warnings)} if yank.warnings else {}),
    }


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """Write what each check found, a line each, below what it is about."""
    return in_lines(_diagnosis_lines(diagnosis))


def diagnosis_content(diagnosis: Diagnosis) -> dict[str, Any]:
    """Give what was found as a JSON object."""
    return {
        "ok": diagnosis.ok,
        "findings": [
            {
                "repository": str(each.repository) if each.repository else None,
                "check": each.check,
                "level": each.level,
                "text": each.text,
                "advice": each.advice or None,
            }
            for each in diagnosis.findings
        ],
    }


def _diagnosis_lines(diagnosis: Diagnosis) -> Iterator[str]:
    for repository, findings in groupby(diagnosis.findings, attrgetter("repository")):
        yield str(repository or "this machine")
        yield from map(_found, findings)
    problems = sum(each.level == "problem" for each in diagnosis.findings)
    yield f"{problems or 'no'} {'problem' if problems == 1 else 'problems'}"


def _found(finding: Finding) -> str:
    advice = f": {finding.advice}" if finding.advice else ""
    return f"  {finding.level:<8} {finding.check}: {finding.text}{advice}"


def _listing_lines(listing: Listing) -> Iterator[str]:
    total = len(listing.versions) + listing.older
    yield f"{listing.repository}: {total} {'version' if total == 1 else 'versions'}"
    width = max((len(row.tag) for row in listing.versions), default=0)
    for row in listing.versions:
        held = _short(row.digest) if row.digest else "cannot be read"
        yield f"  {row.tag:{width}}  {held}  {', '.join(row.floating)}".rstrip()
    if listing.older:
        yield f"  and {listing.older} older (--limit 0 shows all)"
    if drifted := [state for state in listing.floating if not state.ok]:
        yield "drifted:"
        yield from (_drift(state, listing.repository) for state in drifted)
    if listing.other:
        yield f"other tags: {_some(listing.other)}"


def _drift(state: Floating, repository: Repository) -> str:
    return f"  {state.tag} {_held(state)}, and {_should(state, repository)}"


def _gone(found: Incomplete) -> str:
    """Say which tags hold an index of which a part is gone, and what brings it back."""
    hold = "holds" if len(found.tags) == 1 else "hold"
    gone = f"{', '.join(map(_short, found.missing))} {'is' if len(found.missing) == 1 else 'are'} gone"
    return f"  {', '.join(found.tags)} {hold} {_short(found.digest)}, of which {gone}: release the same image again"


def _incomplete(found: Incomplete) -> dict[str, Any]:
    return {"digest": found.digest, "tags": list(found.tags), "missing": list(found.missing)}


def _held(state: Floating) -> str:
    """Say what a floating tag that drifted holds."""
    if state.digest is None:
        absent = "is listed but leads nowhere" if state.listed else "is missing"
        return "cannot be read" if state.unreadable else absent
    if state.version is None:
        return f"holds {_short(state.digest)}"
    yanked = yanked_by(state.version)
    return f"holds {f'{yanked}, which was yanked' if yanked else state.version} ({_short(state.digest)})"


def _should(state: Floating, repository: Repository) -> str:
    if state.expected:
        return f"should hold {state.expected}"
    return f"no version is left for it: remove it with tagger rm {repository} {state.tag}"


def _some(names: Sequence[str], most: int = _OTHER_TAGS) -> str:
    """Name tags, but no more than a person reads."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _move(move: Move) -> str:
    if move.before is None:
        return f"  create {move.tag}: {_short(move.after)} ({move.version})"
    return f"  move {move.tag}: {_short(move.before)} to {_short(move.after)} ({move.version})"


def _nothing_written(dry_run: bool) -> list[str]:
    return ["dry run: nothing was written"] if dry_run else []


def _floating(state: Floating) -> dict[str, Any]:
    return {
        "tag": state.tag,
        "digest": state.digest,
        "version": str(state.version) if state.version else None,
        "expected": str(state.expected) if state.expected else None,
    }


def _moved(move: Move) -> dict[str, Any]:
    return {"tag": move.tag, "before": move.before, "after": move.after, "version": str(move.version)}
