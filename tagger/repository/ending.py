"""How a command ends that broke off: what is wrong, what is where, and the exit code that says so."""

from __future__ import annotations

from collections.abc import Sequence

from tagger.errors import CalledOff, Interrupted, TaggerError, Unsettled

_AGAIN = ": run the same command again"


def ended(problem: TaggerError | KeyboardInterrupt, said: str, astray: Sequence[str]) -> TaggerError:
    """Return the error that ends a command which had begun to write; `astray` names the tags that are out of place.

    >>> ended(KeyboardInterrupt(), "moved: latest; still to move: 2.1", []).exit_code
    130
    >>> error = ended(KeyboardInterrupt(), "2.1 may hold a yanked image", ["2.1"])
    >>> error.exit_code, str(error)
    (4, 'interrupted; 2.1 may hold a yanked image: run the same command again')
    """
    interrupted = isinstance(problem, KeyboardInterrupt | CalledOff)
    reason = "interrupted" if interrupted else str(problem).removesuffix(_AGAIN)
    text = f"{reason}; {said}{_AGAIN}"
    if astray:
        return Unsettled(text, astray)
    if isinstance(problem, KeyboardInterrupt):
        return Interrupted(text, problem)
    return Interrupted(text) if interrupted else TaggerError(text)
