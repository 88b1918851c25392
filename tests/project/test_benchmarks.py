"""The benchmark measures what it claims: distances only delay, results distinguish met from missed, and a case runs."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from services import free_port

from benchmarks.case import Case, Commands, Figure
from benchmarks.cases import CASES
from benchmarks.distance import serve
from benchmarks.growth import GROWTHS, Curve, Growth
from benchmarks.results import markdown

COMMANDS = Commands("tagger tags 2.1.106", "python -c pass", "restore gallery/ui")
CASE = Case("tags", 1.25, lambda _: COMMANDS, memory=80)


def figure(tagger: float, peak: float = 40) -> Figure:
    """Measure the case against a peer that takes two seconds."""
    return Figure(CASE, "warm", COMMANDS, tagger, 2.0, (10, 10), peak)


def test_a_simulated_distance_keeps_every_byte_in_order_both_ways() -> None:
    content = os.urandom(3_000_000)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        await writer.drain()
        writer.close()

    async def through() -> bytes:
        near, far = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        host, _, port = far.rpartition(":")
        async with await asyncio.start_server(echo, host, int(port)), await serve(near, far, 0.004):
            reader, writer = await asyncio.open_connection(host, int(near.rpartition(":")[2]))
            writer.write(content)
            writer.write_eof()
            received = await reader.read()
            writer.close()
            await writer.wait_closed()
            return received

    assert asyncio.run(asyncio.wait_for(through(), 60)) == content


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (figure(2.0), "| 1.00 | 1.25 | met, peak 40 MB of 80 |"),
        (figure(3.0), "| 1.50 | 1.25 | **missed**, peak 40 MB of 80 |"),
        (figure(2.0, peak=90), "| 1.00 | 1.25 | **missed**, peak 90 MB of 80 |"),
    ],
)
def test_results_distinguish_met_goals_from_missed_ones(measured: Figure, said: str) -> None:
    assert said in markdown([measured], [], {}, {}, [])


def test_results_show_the_commands_and_name_missing_measurements() -> None:
    text = markdown([figure(2.0)], [], {}, {"check": "not installed: crane"}, ["a machine"])
    assert "- a machine" in text
    assert "restore gallery/ui  # before each run\ntagger tags 2.1.106\npython -c pass" in text
    assert "| check | | | | | | | not measured: not installed: crane |" in text


def test_results_show_the_expected_shape_and_the_measured_one() -> None:
    growth = Growth("Layers", "layer", (1, 10, 100), "linear", lambda _, __: COMMANDS)
    text = markdown([], [Curve(growth, COMMANDS, [1.1, 2.0, 11.0], [2.2, 4.0, 11.0])], {}, {}, [])
    assert "Expected: linear. Measured: 1.00 s + 100 ms per layer, off by 0% at most." in text
    assert "| 100 | 11.000 s | 11.000 s | 1.00 |" in text
    assert f"    100 {'█' * 40} 11.00 s" in text


def test_results_show_how_much_of_a_missed_goal_is_start_up() -> None:
    missed = replace(figure(3.0), case=replace(CASE, name="release"))
    text = markdown([missed], [], {"Python": 0.5, "docker-py": 1.0}, {}, [])
    assert "| docker-py | 1.000 | 0.500 |" in text
    assert (
        "- release: 1.50 of its peer's 2.000 s, of which 2.000 s for its work; with no work at all it would be" in text
    )


def test_every_case_has_its_own_name() -> None:
    names = [case.name for case in CASES] + [growth.name for growth in GROWTHS]
    assert len(set(names)) == len(names)


@pytest.mark.engine
@pytest.mark.long
def test_a_release_is_measured_against_the_script_that_it_replaces(tmp_path: Path) -> None:
    results = tmp_path / "RESULTS.md"
    words = ["--runs", "1", "--no-cold", "--only", "dry run", "--results", str(results)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "support")}
    command = [sys.executable, "-m", "benchmarks", *words]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "| dry run, 40 ms | warm |" in results.read_text()
