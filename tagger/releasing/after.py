"""The commands after a release, which announce it or lock its tags."""

from __future__ import annotations

from tagger.errors import Interrupted
from tagger.gating.command import Subject
from tagger.releasing.candidates import remove_candidates
from tagger.releasing.outcome import Outcome
from tagger.releasing.state import Run


def finish(run: Run, outcome: Outcome) -> Interrupted | None:
    """Run the commands after a release; if there was nothing to do, remove the candidates of a killed release.

    No error here moves a tag. If a signal interrupts this, it returns the error for it.
    """
    try:
        if outcome is Outcome.UNCHANGED:
            remove_candidates(run)
        if outcome is Outcome.RELEASED:
            _run_commands(run)
    except KeyboardInterrupt as signal:
        return Interrupted("interrupted after every tag was in place", signal)
    return None


def _run_commands(run: Run) -> None:
    from tagger.gating.process import run as started

    version = str(run.order.version)
    subjects = {Subject(share.repository.name, share.digest, version): None for share in run.shares if share.digest}
    for subject in subjects:
        for command in run.order.after:
            run.progress(f"running {command} for {subject.reference}")
            ran = started(command, subject, run.order.gate_seconds, run.deadline, run.progress)
            run.ran_after.append(ran)
            if ran.failed:
                run.notes.append(f"{command} {ran.failed} for {subject.reference}, which is released anyway")
