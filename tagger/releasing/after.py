"""What comes once the tags of a release are where they belong: candidates go, and commands run."""

from __future__ import annotations

from tagger.errors import Interrupted, TaggerError
from tagger.gating.command import Command, Ran, Subject
from tagger.releasing.gates import put_local_tags_back, remove_candidates
from tagger.releasing.state import Run


def finish(run: Run, *, released: bool) -> Interrupted | None:
    """Remove the candidates and, after a release, run its commands; return the error of a signal that broke this off.

    Nothing that goes wrong here moves a tag.
    """
    try:
        remove_candidates(run)
        if released:
            _run_commands(run)
    except KeyboardInterrupt as signal:
        put_local_tags_back(run)
        run.notes += [f"{reference} stays, since its removal was interrupted" for reference in run.candidates]
        return Interrupted("interrupted after the release, whose tags are all where they belong", signal)
    return None


def _run_commands(run: Run) -> None:
    version = str(run.order.version)
    subjects = {Subject(share.repository.name, share.digest, version): None for share in run.shares if share.digest}
    for subject in subjects:
        for command in run.order.after:
            ran = _ran(run, command, subject)
            run.ran_after.append(ran)
            if ran.failed:
                run.notes.append(f"{command} {ran.failed} for {subject.reference}, whose tags have moved all the same")


def _ran(run: Run, command: Command, subject: Subject) -> Ran:
    from tagger.gating.process import run as started

    run.progress(f"running {command} for {subject.reference}")
    try:
        return started(command, subject, run.order.gate_seconds, run.deadline, run.progress)
    except TaggerError as error:
        return Ran(command, subject, f"was ended, since {error.what}")
