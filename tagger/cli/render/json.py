"""Results as JSON objects, as docs/schema.json describes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tagger.cli.render import field
from tagger.rules.spelling import DEFAULT_VARIANT
from tagger.text import neutral_json, printable

_LONGEST_COMMAND = 2000

if TYPE_CHECKING:
    from tagger.doctor.finding import Diagnosis
    from tagger.gating.command import Present, Ran
    from tagger.names import Tag
    from tagger.releasing.outcome import Release, Released
    from tagger.repository.check import Check, Incomplete
    from tagger.repository.compare import Difference
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


def as_json(content: dict[str, Any] | list[dict[str, Any]]) -> str:
    """Write one JSON object, or a list of them, in ASCII; with --field, only the values of that field."""
    if name := field.asked():
        return field.in_lines(content, name)
    return neutral_json(json.dumps(content, indent=2))


def release_content(release: Release) -> dict[str, Any]:
    """Return a release as a JSON object, with warnings only if there are any, and variants and images if several."""
    several = len({released.image for released in release.repositories}) > 1
    return {
        "image": release.image,
        "version": release.version,
        "dry_run": release.dry_run,
        "outcome": release.outcome,
        "error": release.error,
        **_if_any(
            warnings=release.warnings,
            gates=[*map(_ran, release.gates)],
            evidence=[*map(_present, release.evidence)],
            after=[*map(_ran, release.after)],
        ),
        "repositories": [_repository(released, several=several) for released in release.repositories],
    }


def listing_content(listing: Listing) -> dict[str, Any]:
    """Return a listing as a JSON object."""
    return {
        "repository": str(listing.repository),
        "versions": [
            {"version": str(row.version), "tag": row.tag, "digest": row.digest, "floating": list(row.floating)}
            for row in listing.versions
        ],
        "floating": [_floating(state) | {"ok": state.ok} for state in listing.floating],
        "other": list(listing.other),
    }


def sharing_content(sharing: Sharing) -> dict[str, Any]:
    """Return the tags that hold an image as a JSON object."""
    return {
        "repository": str(sharing.repository),
        "digest": sharing.digest,
        "tags": list(sharing.tags),
        **_if_any(unreadable=sharing.unreadable),
    }


def check_content(check: Check) -> dict[str, Any]:
    """Return a check as a JSON object."""
    return {
        "repository": str(check.repository),
        "ok": check.ok,
        "drift": [_floating(state) for state in check.drift],
        "checked": list(check.checked),
        "not_looked_at": list(check.not_looked_at),
        **_if_any(
            half_removed=check.half_removed,
            emptied=check.emptied,
            incomplete=[*map(_incomplete, check.incomplete)],
            hints=check.hints,
        ),
    }


def differences_content(differences: Sequence[Difference]) -> list[dict[str, Any]]:
    """Return the differences between repositories as JSON objects."""
    return [
        {
            "tag": each.tag,
            "held": [
                {
                    "repository": str(held.repository),
                    "digest": held.digest,
                    "version": str(held.version) if held.version else None,
                    **({"unreadable": True} if held.unreadable else {}),
                }
                for held in each.held
            ],
        }
        for each in differences
    ]


def repair_content(repair: Repair) -> dict[str, Any]:
    """Return a repair as a JSON object."""
    return {
        "repository": str(repair.repository),
        "dry_run": repair.dry_run,
        "repaired": [_moved(move) for move in repair.repaired],
        **_if_any(removed=repair.removed, warnings=repair.warnings),
    }


def pruning_content(pruning: Pruning) -> dict[str, Any]:
    """Return a prune as a JSON object."""
    return {
        **removal_content(pruning),
        "held": [{"tag": tag, "by": list(by)} for tag, by in pruning.held],
        "not_understood": list(pruning.not_understood),
    }


def removal_content(removal: Removal) -> dict[str, Any]:
    """Return a removal as a JSON object."""
    return {
        "repository": str(removal.repository),
        "dry_run": removal.dry_run,
        "removed": list(removal.removed),
        "moved": [_moved(move) for move in removal.moved],
    }


def yank_content(yank: Yank) -> dict[str, Any]:
    """Return a yank as a JSON object."""
    return _version_content(yank, "yanked", yank.marks)


def unyank_content(unyank: Unyank) -> dict[str, Any]:
    """Return an undone yank as a JSON object."""
    return _version_content(unyank, "restored", unyank.restored)


def _version_content(done: Yank | Unyank, what: str, tags: Sequence[Tag]) -> dict[str, Any]:
    return {
        "repository": str(done.repository),
        "dry_run": done.dry_run,
        "version": str(done.version),
        what: list(tags),
        "digests": list(done.digests),
        "moved": [_moved(move) for move in done.moved],
        "removed": list(done.removed),
        "kept": list(done.kept),
        **_if_any(warnings=done.warnings),
    }


def proposal_content(proposed: Proposed, file: str, written: str | None) -> dict[str, Any]:
    """Return a proposal as a JSON object, with the settings file and the path where it was written."""
    return {
        "repository": str(proposed.repository),
        "lines": [_line(line) for line in proposed.proposal.lines],
        "left_alone": [{"what": kind, "tags": list(tags)} for kind, tags in proposed.proposal.not_understood],
        "unreadable": list(proposed.unreadable),
        "file": file,
        "written": written,
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "line": line.name or None,
        "variants": list(line.variants),
        "versions": line.versions,
        "newest": str(line.newest),
        "reasons": list(line.reasons),
        "right": list(line.right),
        "drifted": [
            {"tag": each.tag, "version": str(each.holds) if each.holds else None, "expected": str(each.expected)}
            for each in line.drifted
        ],
        "missing": list(line.missing),
        "mistaken": list(line.mistaken),
        "next": {"moves": list(line.moves), "creates": list(line.creates)},
    }


def diagnosis_content(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the findings as a JSON object."""
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


def _if_any(**lists: Sequence[Any]) -> dict[str, list[Any]]:
    """Return the lists that are not empty."""
    return {name: list(each) for name, each in lists.items() if each}


def _present(found: Present) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "reference": found.subject.reference,
        "present": found.lacks is None,
        "where": list(found.where),
        "error": found.lacks,
    }


def _ran(ran: Ran) -> dict[str, Any]:
    return {
        "command": printable(ran.command.text, _LONGEST_COMMAND),
        "reference": ran.subject.reference,
        "ok": ran.failed is None,
        "error": ran.failed,
        "output": list(ran.lines),
    }


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


def _incomplete(found: Incomplete) -> dict[str, Any]:
    return {"digest": found.digest, "tags": list(found.tags), "missing": list(found.missing)}


def _floating(state: Floating) -> dict[str, Any]:
    return {
        "tag": state.tag,
        "digest": state.digest,
        "version": str(state.version) if state.version else None,
        "expected": str(state.expected) if state.expected else None,
    }


def _moved(move: Move) -> dict[str, Any]:
    return {"tag": move.tag, "before": move.before, "after": move.after, "version": str(move.version)}
