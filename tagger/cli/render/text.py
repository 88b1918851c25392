"""Results as text for a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from tagger.cli.render.phrases import (
    HOLDERS,
    commands,
    evidence_line,
    heading,
    movement,
    ran_line,
    short,
    some,
    verdict,
)
from tagger.names import Repository
from tagger.releasing.outcome import Release
from tagger.rules.plan import Change
from tagger.rules.version import yanked_by
from tagger.text import counted, in_lines

if TYPE_CHECKING:
    from tagger.doctor.finding import Diagnosis, Finding
    from tagger.repository.check import Check, Incomplete
    from tagger.repository.compare import Difference, Holding
    from tagger.repository.floating import Floating, Move
    from tagger.repository.listing import Listing
    from tagger.repository.propose import Proposed
    from tagger.repository.prune import Pruning
    from tagger.repository.remove import Removal
    from tagger.repository.repair import Repair
    from tagger.repository.sharing import Sharing
    from tagger.repository.unyank import Unyank
    from tagger.repository.yank import Yank
    from tagger.rules.propose import Line

_FEW = 12
_DIFFERENCES = 50


def release_text(release: Release) -> str:
    """Write a release as lines: what happens to each tag and why, for each repository, and then the outcome."""
    return in_lines(_lines(release))


def _lines(release: Release) -> Iterator[str]:
    for released in release.repositories:
        yield heading(release, released)
        yield from (f"  {_change(change)}" for change in released.changes)
    for what, ran in commands(release):
        yield ran_line(what, ran)
        yield from (f"  {line}" for line in (ran.lines if ran.failed else ()))
    yield from map(evidence_line, release.evidence)
    yield from map(_note, release.warnings)
    if said := verdict(release):
        yield said


def _change(change: Change) -> str:
    detail = "; ".join(part for part in (movement(change), change.reason) if part)
    return f"{change.action} {change.tag}" + (f": {detail}" if detail else "")


def listing_text(listing: Listing) -> str:
    """Write versions in columns, then the drifted tags, then the other tags."""
    return in_lines(_listing_lines(listing))


def sharing_text(sharing: Sharing) -> str:
    """Write the tags that hold an image, one per line."""
    lines = [f"{sharing.repository}@{sharing.digest}: {_counted(len(sharing.tags), 'tag')}"]
    lines += [f"  {tag}" for tag in sharing.tags]
    return in_lines([*lines, *(f"  {tag} cannot be read" for tag in sharing.unreadable)])


def check_text(check: Check) -> str:
    """Write which tags were checked, which were not, and which drifted, one per line."""
    drifted = f"{len(check.drift)} drifted" if check.drift else "no drift"
    drifted += f", {len(check.incomplete)} incomplete" if check.incomplete else ""
    checked = f"{counted(len(check.checked), 'floating tag')} checked"
    others = f"; not looked at: {some(check.not_looked_at)}" if check.not_looked_at else ""
    lines = [_drift(state, check.repository) for state in check.drift]
    lines += [
        f"  {tag} holds a placeholder, because its removal was interrupted: repeat tagger rm {check.repository} {tag}"
        for tag in check.half_removed
    ]
    lines += [f"  {tag} holds a placeholder, and no longer marks a version" for tag in check.emptied]
    lines += map(_gone, check.incomplete)
    lines += [f"  {hint}" for hint in check.hints]
    return in_lines([f"{check.repository}: {drifted}, {checked}{others}", *lines])


def differences_text(differences: Sequence[Difference]) -> str:
    """Write the differences between repositories, one line per tag."""
    shown = [f"  {each.tag}: {', '.join(map(_holding, each.held))}" for each in differences[:_DIFFERENCES]]
    more = len(differences) - _DIFFERENCES
    return in_lines(["the repositories disagree:", *shown, *([f"  and {more} more tags"] if more > 0 else [])])


def _holding(held: Holding) -> str:
    if held.unreadable:
        return f"{held.repository} cannot say"
    if held.digest is None:
        return f"{held.repository} has none"
    return f"{held.repository} has {f'{held.version} ({short(held.digest)})' if held.version else short(held.digest)}"


def repair_text(repair: Repair) -> str:
    """Write the tags that moved or would move, one per line."""
    if not repair.repaired and not repair.removed:
        return in_lines([f"{repair.repository}: nothing to repair", *map(_note, repair.warnings)])
    done = [
        *map(_move, repair.repaired),
        *(f"  remove {tag}: its removal had been interrupted" for tag in repair.removed),
    ]
    return _written(repair, done, repair.warnings)


def removal_text(removal: Removal) -> str:
    """Write which floating tags fell back and which tags were removed, one per line."""
    lines = [*map(_move, removal.moved), *(f"  remove {tag}" for tag in removal.removed)]
    return _written(removal, lines)


def rm_text(removal: Removal) -> str:
    """Write what was removed, or that there was nothing to remove."""
    return removal_text(removal) if removal.removed else f"{removal.repository}: nothing to remove"


def pruning_text(pruning: Pruning) -> str:
    """Write which versions were pruned, and which stay although the numbers would let them go."""
    begins = [removal_text(pruning)] if pruning.removed else [f"{pruning.repository}: nothing to prune"]
    held = [f"{tag} ({some(by, HOLDERS)})" for tag, by in pruning.held]
    lines = [("held by other tags", held), ("not understood", pruning.not_understood)]
    return "\n".join([*begins, *(f"  {what}: {some(names)}" for what, names in lines if names)])


def yank_text(yank: Yank) -> str:
    """Write the mark of a yanked version, the moved and the removed tags, and how to pull the image still."""
    kept = [f"  image kept as {', '.join(yank.marks)}: {', '.join(map(short, yank.digests))}"]
    removed = [f"  remove {tag}" for tag in yank.removed]
    still = f"the image can still be pulled as {' or '.join(yank.digests)}"
    others = f", and under the tag {', '.join(yank.kept)}" if yank.kept else ""
    return _written(yank, [*kept, *map(_move, yank.moved), *removed, still + others], yank.warnings)


def unyank_text(unyank: Unyank) -> str:
    """Write which tags a version got back, which moved, and which marks were removed, one per line."""
    if not unyank.restored:
        return in_lines([f"{unyank.repository}: {unyank.version} is not yanked, so there is nothing to do"])
    images = ", ".join(map(short, unyank.digests))
    back = [f"  {unyank.version} is back as {', '.join(unyank.restored)}: {images}"]
    lines = [*back, *map(_move, unyank.moved), *(f"  remove {mark}" for mark in unyank.removed)]
    return _written(unyank, lines, unyank.warnings)


def proposal_text(proposed: Proposed) -> str:
    """Write a proposal: the lines of versions, the reasons, and the tags that do not fit."""
    return in_lines(_proposal_lines(proposed))


def _proposal_lines(proposed: Proposed) -> Iterator[str]:
    yield f"{proposed.repository}: {counted(proposed.tags, 'tag')}"
    for line in proposed.proposal.lines:
        yield from _proposed_line(line)
    if not proposed.proposal.lines:
        yield "no versions that tagger can read"
    if proposed.proposal.not_understood:
        yield "left alone:"
        yield from (f"  {kind}: {some(tags, _FEW)}" for kind, tags in proposed.proposal.not_understood)
    if proposed.unreadable:
        registry, tags = proposed.repository.registry, some(proposed.unreadable, _FEW)
        yield f"note: {registry} does not say what these tags hold: {tags}"


def _proposed_line(line: Line) -> Iterator[str]:
    named = f"line {line.name}: " if line.name else ""
    yield f"{named}{counted(line.versions, 'version')}, the newest {line.newest}"
    yield from (f"  {reason}" for reason in line.reasons)
    if line.right:
        yield f"  in place: {some(line.right, _FEW)}"
    for each in line.drifted:
        holds = f"holds {each.holds}" if each.holds else "holds an image of no version"
        yield f"  drifted: {each.tag} {holds}, but should hold {each.expected}"
    if line.missing:
        yield f"  missing: {some(line.missing, _FEW)}"
    will = [("moves", line.moves), ("creates", line.creates)]
    said = " and ".join(f"{verb} {some(tags, _FEW)}" for verb, tags in will if tags) or "moves no floating tag"
    yield f"  the next release after {line.newest} {said}"


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """Write the finding of each check on a line, below its subject."""
    return in_lines(_diagnosis_lines(diagnosis))


def _diagnosis_lines(diagnosis: Diagnosis) -> Iterator[str]:
    for repository, findings in groupby(diagnosis.findings, attrgetter("repository")):
        yield str(repository or "this machine")
        yield from map(_found, findings)
    problems = sum(each.level == "problem" for each in diagnosis.findings)
    yield _counted(problems, "problem")


def _found(finding: Finding) -> str:
    advice = f": {finding.advice}" if finding.advice else ""
    return f"  {finding.level:<8} {finding.check}: {finding.text}{advice}"


def _listing_lines(listing: Listing) -> Iterator[str]:
    total = len(listing.versions) + listing.older
    yield f"{listing.repository}: {counted(total, 'version')}"
    width = max((len(row.tag) for row in listing.versions), default=0)
    for row in listing.versions:
        held = short(row.digest) if row.digest else "cannot be read"
        yield f"  {row.tag:{width}}  {held}  {', '.join(row.floating)}".rstrip()
    if listing.older:
        yield f"  and {listing.older} older (--limit 0 shows all)"
    if drifted := [state for state in listing.floating if not state.ok]:
        yield "drifted:"
        yield from (_drift(state, listing.repository) for state in drifted)
    if listing.other:
        yield f"other tags: {some(listing.other)}"


def _drift(state: Floating, repository: Repository) -> str:
    return f"  {state.tag} {_held(state)}, but {_should(state, repository)}"


def _gone(found: Incomplete) -> str:
    """Say which tags hold an index with missing parts, and how to restore these."""
    hold = "holds" if len(found.tags) == 1 else "hold"
    gone = f"{', '.join(map(short, found.missing))} {'is' if len(found.missing) == 1 else 'are'} gone"
    return f"  {', '.join(found.tags)} {hold} {short(found.digest)}, of which {gone}: release the same image again"


def _held(state: Floating) -> str:
    """Say what a drifted floating tag holds."""
    if state.digest is None:
        absent = "is listed without an image" if state.listed else "is missing"
        return "cannot be read" if state.unreadable else absent
    if state.version is None:
        return f"holds {short(state.digest)}"
    yanked = yanked_by(state.version)
    return f"holds {f'{yanked}, which was yanked' if yanked else state.version} ({short(state.digest)})"


def _should(state: Floating, repository: Repository) -> str:
    if state.expected:
        return f"should hold {state.expected}"
    return f"no version claims it: remove it with tagger rm {repository} {state.tag}"


def _move(move: Move) -> str:
    if move.before is None:
        return f"  create {move.tag}: {short(move.after)} ({move.version})"
    return f"  move {move.tag}: {short(move.before)} to {short(move.after)} ({move.version})"


def _counted(number: int, noun: str) -> str:
    return counted(number, noun) if number else f"no {noun}s"


def _note(warning: str) -> str:
    return f"note: {warning}"


def _written(done: Repair | Removal | Yank | Unyank, lines: Iterable[str], warnings: Iterable[str] = ()) -> str:
    """Say what a command did in a repository, or would do."""
    end = ["dry run: nothing was written"] if done.dry_run else []
    return in_lines([str(done.repository), *lines, *map(_note, warnings), *end])
