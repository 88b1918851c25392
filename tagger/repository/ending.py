"""How a command that failed halfway ends: what is wrong, what is where, and the exit code for it."""

from __future__ import annotations

from collections.abc import Sequence

from tagger.errors import AGAIN, CalledOff, Interrupted, TaggerError, Unsettled


def ended(problem: TaggerError | KeyboardInterrupt, said: str, astray: Sequence[str]) -> TaggerError:
    """Return the error of a command that had begun to write; `astray` names the tags that are out of place.

    >>> ended(KeyboardInterrupt(), "moved: latest; still to move: 2.1", []).exit_code
    130
    >>> error = ended(KeyboardInterrupt(), "2.1 may hold a yanked image", ["2.1"])
    >>> error.exit_code, str(error)
    (4, 'interrupted; 2.1 may hold a yanked image: run the same command again')
    """
    if isinstance(problem, KeyboardInterrupt | CalledOff):
        reason = "interrupted"
    else:
        reason = problem.what if problem.hint == AGAIN else str(problem)
    what = f"{reason}; {said}"
    if astray:
        return Unsettled(what, astray, AGAIN)
    if isinstance(problem, KeyboardInterrupt):
        return Interrupted(what, problem, AGAIN)
    return Interrupted(what, hint=AGAIN) if isinstance(problem, CalledOff) else TaggerError(what, AGAIN)
