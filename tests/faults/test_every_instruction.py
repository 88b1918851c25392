"""A signal may come at any instruction with which a command ends: it hides nothing, and leaves no traceback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

# It runs `tagger ls` once for each instruction that follows `body`, in a fork, with a signal at that instruction.
# Python itself looks for signals at some of these instructions only.
SCRIPT = """
import json, os, signal, sys
from tagger.api import look
from tagger.cli import look as commands, run
from tagger.errors import Unsettled
from tagger.repository.listing import Listing
from tagger.names import Repository

FILES = tuple(f"/tagger/cli/{{name}}.py" for name in ("run", "command", "failure", "signals")) + ("/typer/core.py",)

def ls(*_, **__):
    frame = sys._getframe()
    while frame := frame.f_back:
        if frame.f_code.co_filename.endswith(FILES):
            frame.f_trace, frame.f_trace_opcodes = trace, frame.f_code.co_filename.endswith(FILES[0])
    sys.settrace(trace)
    {body}

def trace(frame, event, _):
    global left
    if not frame.f_code.co_filename.endswith(FILES):
        return None
    frame.f_trace_opcodes = frame.f_code.co_filename.endswith(FILES[0])
    if event in ("line", "opcode"):
        left -= 1
        if not left:
            os.write(3, b"1")
            signal.raise_signal(signal.{number})
    return trace

def one():
    reading, writing = os.pipe()
    done, telling = os.pipe()
    if not (child := os.fork()):
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.dup2(telling, 3)
        run.main()
    os.close(writing)
    os.close(telling)
    shown = open(reading).read()
    met = open(done).read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown, bool(met)

look.ls = ls
os.dup2(os.open(os.devnull, os.O_RDONLY), 3)
run.program()
sys.argv = ["tagger", "ls", "r/a"]
ended = []
while not ended or ended[-1][2]:
    left = len(ended) + 1
    ended.append(one())
print(json.dumps(ended))
"""
AGAIN = "tagger: error: interrupted: run the same command again\n"


@pytest.mark.long
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    ("body", "said", "codes"),
    [
        ('raise Unsettled("latest is out of place", ["latest"])', "tagger: error: latest is out of place\n", {4}),
        ("signal.raise_signal(signal.SIGTERM)", AGAIN, {143}),
        ('return Listing(Repository("r", "a"), (), (), (), 0)', "", {0}),
    ],
    ids=["after an error", "after another signal", "after its work"],
)
def test_a_signal_at_any_instruction_of_an_ending_hides_nothing(
    body: str, said: str, codes: set[int], number: str
) -> None:
    script = SCRIPT.format(body=body, number=number)
    ran = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    ended = json.loads(ran.stdout)
    killed = {-signal.SIGINT, -signal.SIGTERM}  # by a signal that comes when everything has been said
    wrong = [
        (at, code, shown)
        for at, (code, shown, _) in enumerate(ended)
        if "Traceback" in shown
        or said not in shown
        or code not in codes | killed | {130, 143}
        or (code in {130, 143} and AGAIN not in shown)
    ]
    assert len(ended) > 50
    assert not wrong, f"{len(wrong)} of {len(ended)}:\n" + "\n".join(map(str, wrong))
