"""One command on many repositories: each is decided once, whatever happens, and no faster than a registry wants."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from command import SCHEMA, Ran, start, tagger, tagger_in, wait
from doubles import Bearer, ModelRegistry, Request, Response, as_json, manifest, on, refusal
from launcher import Launched
from prometheus import parsed
from pushed import Repository
from services import Registry

VERSIONS = ("1.0.0", "1.1.0")
IMAGES = {version: manifest(version.encode()) for version in VERSIONS}
RIGHT = {"1.0.0": "1.0.0", "1.1.0": "1.1.0", "1.0": "1.0.0", "1.1": "1.1.0", "1": "1.1.0", "latest": "1.1.0"}
DRIFTED = {**RIGHT, "1": "1.0.0", "latest": "1.0.0"}


def shelf(model: ModelRegistry, count: int, drifted: int = 0) -> list[str]:
    """Fill a registry in this process with repositories, of which the first have drifted; name them."""
    paths = [f"team{number % 7}/app{number}" for number in range(count)]
    for number, path in enumerate(paths):
        for tag, version in (DRIFTED if number < drifted else RIGHT).items():
            model.put(path, tag, IMAGES[version])
    return [f"{model.host}/{path}" for path in paths]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[Sequence[str]], str]:
    """A function that writes names to a file and returns the file's name."""

    def write(lines: Sequence[str]) -> str:
        path = tmp_path / "names.txt"
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    return write


def lines(text: str) -> list[dict[str, Any]]:
    """Parse lines of JSON, each of which is what the schema says."""
    found = [json.loads(line) for line in text.splitlines()]
    for each in found:
        SCHEMA.validate(each)
    return found


def decided(text: str) -> Counter[str]:
    """Count how often each repository is decided."""
    return Counter(each["repository"] for each in lines(text))


def piped(names: str, *words: str) -> Ran:
    """Run `tagger WORDS < FILE`."""
    return wait(start(None, *words, stdin=names))


# -- which repositories, and what is said of each ----------------------------------------------------------------------


def test_repositories_are_read_from_stdin_or_a_file_and_each_gets_a_line(
    model: ModelRegistry, file: Callable[[Sequence[str]], str]
) -> None:
    every = shelf(model, 40, drifted=3)
    names = file(["# all of them", "", *every[:20], f"{every[20]}  # with a comment", *every[21:], every[0]])
    for ran in (piped(names, "check", "-", "--json-lines"), tagger(None, "check", "--from", names, "--json-lines")):
        found = {each["repository"]: each for each in lines(ran.out)}
        assert ran.code == 5, ran.err
        assert decided(ran.out) == Counter(every)
        assert {name for name in every if found[name]["outcome"] == "drift"} == {*every[:3]}
        assert [drift["tag"] for drift in found[every[0]]["drift"]] == ["1", "latest"]
        assert "40 repositories: 3 drift, 37 ok; 6 tags drifted" in ran.err


def test_every_command_gives_the_same_result_for_one_and_for_many_repositories(
    model: ModelRegistry, file: Callable[[Sequence[str]], str]
) -> None:
    model.deletes = "tag"
    every = shelf(model, 3, drifted=1)
    names = file(every)
    listed = lines(tagger(None, "ls", "--from", names, "--json-lines").out)
    assert {tuple(row["version"] for row in each["versions"]) for each in listed} == {("1.1.0", "1.0.0")}
    for dry, outcome in ((["--dry-run"], "planned"), ([], "changed"), ([], "ok")):
        ran = tagger(None, "repair", "--from", names, "--json-lines", *dry)
        assert ran.code == 0, ran.err
        assert {each["repository"]: each["outcome"] for each in lines(ran.out)}[every[0]] == outcome
    assert tagger(None, "check", "--from", names).code == 0
    for name in every:
        model.put(name.partition("/")[2], "1.1.1", manifest(b"1.1.1"))
    assert tagger(None, "repair", "--from", names).code == 0
    asked = tagger(None, "prune", "--from", names, "--keep", "1")
    assert (asked.code, "--dry-run, then pass --yes" in asked.error) == (2, True)
    pruned = tagger(None, "prune", "--from", names, "--keep", "1", "--yes", "--json-lines")
    assert [(each["outcome"], each["removed"]) for each in lines(pruned.out)] == [("changed", ["1.1.0"])] * 3
    text = tagger(None, "check", "--from", names)
    assert sorted(text.out.splitlines()) == sorted(f"{name}: no drift, 4 floating tags checked" for name in every)


def test_a_repository_that_cannot_be_read_is_a_result_and_not_the_end(
    model: ModelRegistry, file: Callable[[Sequence[str]], str]
) -> None:
    every = shelf(model, 6)
    model.intercept(on("GET", "team1/app1/tags/list", refusal(403, "DENIED", "requested access is denied")))
    model.intercept(on("GET", "team2/app2/tags/list", Response(200, b"<html>"), times=1))
    names = file(["Not a name", every[0], f"{model.host}/team/gone", *every[1:], "127.0.0.1:1/app"])
    ran = tagger(None, "check", "--from", names, "--json-lines", "--jobs", "2")
    found = {each["repository"]: (each["outcome"], each.get("error", "")) for each in lines(ran.out)}
    assert ran.code == 2, ran.err
    assert len(found) == 9
    assert [found[name][0] for name in every] == ["ok", "refused", "failed", "ok", "ok", "ok"]
    assert found["Not a name"][0] == "failed"
    assert "no repository" in found[f"{model.host}/team/gone"][1] or "no such" in found[f"{model.host}/team/gone"][1]
    assert found["127.0.0.1:1/app"][0] == "failed"


def test_every_repository_belongs_to_exactly_one_of_the_shards(
    model: ModelRegistry, file: Callable[[Sequence[str]], str]
) -> None:
    every = shelf(model, 30)
    names = file(every)
    ran = [tagger(None, "check", "--from", names, "--shard", f"{index}/4", "--json-lines") for index in range(4)]
    assert sum((decided(each.out) for each in ran), Counter[str]()) == Counter(every)
    assert all(each.out for each in ran)


def test_the_repositories_of_a_registry_are_listed_page_by_page(model: ModelRegistry) -> None:
    every = shelf(model, 25)
    paths = sorted(model.repositories)

    def page(request: Request) -> Response:
        at = int(request.query.get("last", ["0"])[0])
        following = {"Link": f'</v2/_catalog?last={at + 10}&n=10>; rel="next"'} if at + 10 < len(paths) else {}
        return as_json(200, {"repositories": paths[at : at + 10]}, **following)

    model.intercept(on("GET", "^/v2/_catalog$", page))
    ran = tagger(None, "repos", model.host)
    assert (ran.code, ran.out.splitlines()) == (0, sorted(every))
    assert [request.path for request in model.requests] == ["/v2/_catalog"] * 3


def test_repositories_are_listed_where_the_registry_allows_only_smaller_pages(
    model: ModelRegistry,
) -> None:
    refused = refusal(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")

    def page(request: Request) -> Response:
        return refused if request.query.get("n") == ["1000"] else as_json(200, {"repositories": ["team/app"]})

    model.intercept(on("GET", "^/v2/_catalog$", page))
    ran = tagger(None, "repos", model.host)
    assert (ran.code, ran.out) == (0, f"{model.host}/team/app\n")


@pytest.mark.parametrize("repositories", ["team/app", {"team": "app"}])
def test_another_answer_is_not_taken_for_a_list_of_repositories(model: ModelRegistry, repositories: object) -> None:
    model.intercept(on("GET", "^/v2/_catalog$", as_json(200, {"repositories": repositories})))
    ran = tagger(None, "repos", model.host)
    assert (ran.code, ran.out) == (1, "")
    assert "lists its repositories in an unknown form" in ran.error


def test_a_registry_that_lists_no_repositories_says_what_to_do(model: ModelRegistry) -> None:
    ran = tagger(None, "repos", model.host)
    assert (ran.code, ran.out) == (3, "")
    assert f"{model.host} does not list its repositories for you (HTTP 404)" in ran.error
    assert "give the names from its own listing, with --from FILE or on stdin" in ran.error
    model.intercept(on("GET", "_catalog", as_json(200, {"repositories": ["a"]}, Link='</v2/_catalog?n=1>; rel="next"')))
    endless = tagger(None, "repos", model.host)
    assert (endless.code, "sends an endless list of repositories" in endless.error) == (1, True)


def test_options_that_contradict_each_other_are_refused(
    model: ModelRegistry, file: Callable[[Sequence[str]], str]
) -> None:
    names = file(shelf(model, 1))
    for words in (
        ["check", "-", "--from", names],
        ["check", "--from", names, "--json"],
        ["check", "--from", names, "--also", "registry.local:5000/a"],
        ["check", "--from", f"{names}.gone"],
        ["check", "--from", names, "--shard", "4/4"],
        ["check", "--from", names, "--rate", "20/s"],
        ["check", "--from", names, "--timeout", "0"],
        ["repair"],
    ):
        assert tagger(None, *words).code == 2, words
    assert model.requests == []
    ran = tagger(None, "check", "-")
    assert (ran.code, ran.error) == (2, "stdin names no repository: write one name per line")
    ran = tagger(None, "check", "--from", names, "--rate", "127.0.0.1:1=1/s")
    assert (ran.code, "note: --rate names 127.0.0.1:1, but no request went there" in ran.err) == (0, True)


# -- a run that ends before its time -----------------------------------------------------------------------------------


def test_a_killed_and_resumed_run_decides_every_repository_exactly_once(
    model: ModelRegistry, file: Callable[[Sequence[str]], str], tmp_path: Path, tell: Callable[[str], None]
) -> None:
    every = shelf(model, 150, drifted=150)
    names, state, at = file(every), tmp_path / "out.ndjson", random.Random(20)
    running: list[Launched] = []
    left = [0]

    def kill_at_some_request(_: Request) -> None:
        left[0] -= 1
        if left[0] == 0:
            running[-1].kill()

    model.intercept(kill_at_some_request)
    while True:
        left[0] = at.randrange(60, 400)
        running.append(start(None, "repair", "--from", names, "--resume", str(state), "--jobs", "6"))
        if (ran := wait(running[-1])).code != -signal.SIGKILL:
            break
    assert ran.code == 0, ran.err
    assert decided(state.read_text()) == Counter(every)
    assert {each["outcome"] for each in lines(state.read_text())} <= {"changed", "ok"}
    assert tagger(None, "check", "--from", names).code == 0
    kills = len(running) - 1
    assert kills > 3
    tell(f"a repair of {len(every)} repositories was killed {kills} times, and each was decided once")


@pytest.mark.usefixtures("on_the_path")
def test_the_state_may_be_the_file_that_stdout_is_appended_to(
    model: ModelRegistry, file: Callable[[Sequence[str]], str], tmp_path: Path
) -> None:
    every = shelf(model, 8)
    names, state = file(every), tmp_path / "out.ndjson"
    state.write_text(tagger(None, "check", "--from", file(every[:3]), "--json-lines").out + '{"repository": "127')
    file(every)
    command = f"tagger check --from {names} --json-lines --resume {state} >> {state}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert decided(state.read_text()) == Counter(every)


def test_a_run_out_of_time_ends_cleanly_and_continues_later(
    model: ModelRegistry, file: Callable[[Sequence[str]], str], tmp_path: Path
) -> None:
    every = shelf(model, 30)
    names, state, metrics = file(every), tmp_path / "out.ndjson", tmp_path / "tagger.prom"
    words = ["check", "--from", names, "--resume", str(state), "--metrics", str(metrics)]
    slow = ["--rate", f"{model.host}=15/s", "--timeout", "6", "--jobs", "1"]  # all would take 14 s
    ran = tagger(None, *words, *slow)
    assert ran.code == 8, ran.err
    assert (
        "unfinished: --timeout ended the run after 6 s, and some repositories are left: run the same command again"
        in ran.err
    )
    some = decided(state.read_text())
    assert 0 < some.total() < 30
    assert not [name for name, *_ in parsed(metrics.read_text()) if "complete" in str(name)]
    ran = tagger(None, *words)
    assert ran.code == 0, ran.err
    assert decided(state.read_text()) == Counter(every)
    found = parsed(metrics.read_text())
    assert found["tagger_repositories", (("command", "check"), ("outcome", "ok"))] == 30
    assert found["tagger_last_complete_run_timestamp_seconds", (("command", "check"),)] > 1.7e9
    asked = found["tagger_requests", (("command", "check"), ("host", model.host), ("status", "200"))]
    assert asked == 7 * (30 - some.total())


def test_metrics_that_cannot_be_written_hide_no_worse_end_of_a_run(
    model: ModelRegistry, file: Callable[[Sequence[str]], str], tmp_path: Path
) -> None:
    names = file(shelf(model, 1))
    model.intercept(on("GET", "/tags/list$", Response(500)))
    ran = tagger(None, "check", "--from", names, "--metrics", str(tmp_path / "gone" / "tagger.prom"))
    assert (ran.code, "cannot be written (No such file or directory): give another file" in ran.error) == (1, True)


def test_an_interrupted_run_finishes_its_write_and_continues_later(
    model: ModelRegistry, file: Callable[[Sequence[str]], str], tmp_path: Path
) -> None:
    every = shelf(model, 40, drifted=40)
    names, state = file(every), tmp_path / "out.ndjson"
    running: list[Launched] = []

    def interrupt(_: Request) -> None:
        running[-1].send_signal(signal.SIGINT)

    model.intercept(on("PUT", "team3/app10/", interrupt, times=1))
    words = ["repair", "--from", names, "--resume", str(state), "--jobs", "4"]
    running.append(start(None, *words))
    ran = wait(running[-1])
    assert ran.code == 130, ran.err
    some = lines(state.read_text())
    assert 0 < len(some) < 40
    assert {each["outcome"] for each in some} == {"changed"}
    for name in every:
        held = model.repositories[name.partition("/")[2]]
        tags = {tag: held[tag] for tag in ("1", "latest")}
        assert len({*tags.values()}) == 1, "no repository is left half done"
    assert tagger(None, *words).code == 0
    assert decided(state.read_text()) == Counter(every)


def test_each_repository_follows_the_policies_that_match_it(
    model: ModelRegistry, file: Callable[[Sequence[str]], str], tmp_path: Path
) -> None:
    model.deletes = "tag"
    every = shelf(model, 4)
    for name in every:
        for tag in ("1.1.1", "1.1.2", "1.1", "1", "latest"):
            model.put(name.partition("/")[2], tag, manifest(b"1.1.2" if tag != "1.1.1" else b"1.1.1"))
    asked = tagger_in(tmp_path, "prune", "--from", file(every), "--yes")
    assert (asked.code, "give --keep N, or set keep in the settings" in asked.err) == (2, True)
    settings = '[[policy]]\nmatch = "*"\nkeep = 2\n[[policy]]\nmatch = "*/team1/*"\nkeep = 1\n'
    (tmp_path / "tagger.toml").write_text(settings + '[[policy]]\nmatch = "*/app3"\nkeep = 3\n')
    plan = str(tmp_path / "plan.ndjson")
    assert tagger_in(tmp_path, "prune", "--from", file(every), "--plan", plan).code == 0
    (tmp_path / "tagger.toml").unlink()
    ran = tagger_in(tmp_path, "apply", plan, "--json-lines")
    assert ran.code == 0, ran.err
    removed = {each["repository"].rpartition("/")[2]: each["removed"] for each in lines(ran.out)}
    assert removed == {"app0": ["1.1.0"], "app1": ["1.1.1", "1.1.0"], "app2": ["1.1.0"]}


# -- plans that are reviewed -------------------------------------------------------------------------------------------


def holds(model: ModelRegistry, name: str) -> dict[str, str]:
    """Return what the tags of a repository hold."""
    return dict(model.repositories[name.partition("/")[2]])


def test_a_plan_is_applied_where_it_still_fits_and_refused_where_a_tag_has_moved(
    model: ModelRegistry, file: Callable[[Sequence[str]], str], tmp_path: Path
) -> None:
    every = shelf(model, 6, drifted=4)
    names, plan = file(every), str(tmp_path / "plan.ndjson")
    before = {name: holds(model, name) for name in every}
    made = tagger(None, "repair", "--from", names, "--plan", plan)
    assert made.code == 0, made.err
    assert {name: holds(model, name) for name in every} == before, "a plan writes nothing"
    said = {each["repository"]: each["outcome"] for each in lines(Path(plan).read_text())}
    assert said == {**dict.fromkeys(every[:4], "planned"), **dict.fromkeys(every[4:], "ok")}
    # Somebody moves a tag of the plan, publishes a newer version, and moves a tag that is in no plan.
    model.put(every[0].partition("/")[2], "1", manifest(b"by hand"))
    model.put(every[1].partition("/")[2], "1.2.0", manifest(b"1.2.0"))
    model.put(every[4].partition("/")[2], "1", IMAGES["1.0.0"])
    moved = {name: holds(model, name) for name in every}
    applied = tagger(None, "apply", plan, "--json-lines")
    assert applied.code == 3, applied.err
    found = {each["repository"]: (each["outcome"], each.get("error", "")) for each in lines(applied.out)}
    assert {name: outcome for name, (outcome, _) in found.items()} == {
        every[0]: "refused", every[1]: "refused", every[2]: "changed", every[3]: "changed",
    }  # fmt: skip
    assert found[every[0]][1] == f"{every[0]} no longer matches the plan, because 1 moved: make a new plan for it"
    for name in every:
        right = {**moved[name], "1": moved[name]["1.1.0"], "latest": moved[name]["1.1.0"]}
        assert holds(model, name) == (right if name in every[2:4] else moved[name])


def test_a_plan_to_prune_removes_only_what_it_names_and_no_later_image(
    model: ModelRegistry, file: Callable[[Sequence[str]], str], tmp_path: Path
) -> None:
    model.deletes = "tag"
    every = shelf(model, 3)
    for name in every:
        path = name.partition("/")[2]
        for tag in ("1.1.1", "1.1", "1", "latest"):
            model.put(path, tag, manifest(b"1.1.1"))
    plan = str(tmp_path / "plan.ndjson")
    made = tagger(None, "prune", "--from", file(every), "--keep", "1", "--plan", plan, "--json-lines")
    assert [each["removed"] for each in lines(made.out)] == [["1.1.0"]] * 3, made.err
    assert {each["limits"]["keep"] for each in lines(Path(plan).read_text())} == {1}
    model.put(every[0].partition("/")[2], "1.1.0", manifest(b"pushed again"))
    applied = tagger(None, "apply", plan)
    assert applied.code == 3, applied.err
    assert f"error: {every[0]} no longer matches the plan, because 1.1.0 moved" in applied.err
    assert ["1.1.0" in holds(model, name) for name in every] == [True, False, False]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["check", "REPOSITORY", "--shard", ""], "'' is not a shard"),
        (["apply", "plan", "--shard", ""], "'' is not a shard"),
        (["prune", "REPOSITORY", "--keep", "1", "--plan", ""], "'' cannot be written"),
        (["check", "REPOSITORY", "--resume", ""], "'' cannot be written"),
        (["check", "--from", ""], "'' cannot be read"),
        (["apply", ""], "'' cannot be read"),
    ],
)
def test_an_empty_value_is_not_a_missing_option(
    model: ModelRegistry, tmp_path: Path, words: list[str], says: str
) -> None:
    """It comes from a variable without a value, and the command without the option would do more, or something else."""
    model.seed("gallery/ui", {"1.0.0": b"old", "1.0.1": b"new"})
    ran = tagger_in(tmp_path, *(word.replace("REPOSITORY", f"{model.host}/gallery/ui") for word in words))
    assert (ran.code, says in ran.error) == (2, True), ran.err


def test_a_damaged_or_wrong_plan_changes_nothing(
    model: ModelRegistry, file: Callable[[Sequence[str]], str], tmp_path: Path
) -> None:
    every = shelf(model, 3, drifted=3)
    names, path = file(every), tmp_path / "plan.ndjson"
    assert tagger(None, "repair", "--from", names, "--plan", str(path)).code == 0
    whole = path.read_text()
    checked = tagger(None, "check", "--from", names, "--json-lines").out
    before, asked = {name: holds(model, name) for name in every}, len(model.requests)
    wrong = {
        whole[:-9]: "is incomplete",
        whole + whole.splitlines()[0] + "\n": "line 4 repeats the plan for",
        checked: "is a result of tagger check, not part of a plan",
        whole.replace('"seen"', '"then"'): "line 1 is not what tagger writes into a plan",
        "latest\n": "is not a result of tagger",
    }
    for text, said in wrong.items():
        path.write_text(text)
        ran = tagger(None, "apply", str(path))
        assert (ran.code, said in ran.error) == (2, True), ran.err
    assert tagger(None, "apply", f"{path}.gone").code == 2
    path.write_text("latest\n")
    ran = tagger(None, "repair", "--from", names, "--plan", str(path))
    assert (ran.code, "is not a result of tagger" in ran.error, path.read_text()) == (2, True, "latest\n")
    assert ({name: holds(model, name) for name in every}, len(model.requests)) == (before, asked)
    path.write_text(whole[:-9])
    assert tagger(None, "repair", "--from", names, "--plan", str(path), "--resume", "other").code == 2
    assert tagger(None, "repair", "--from", names, "--plan", str(path), "--resume", str(path)).code == 0
    assert tagger(None, "apply", str(path)).code == 0
    assert tagger(None, "check", "--from", names).code == 0


def test_an_interruption_ends_a_read_only_run_at_once(
    model: ModelRegistry, file: Callable[[Sequence[str]], str], tmp_path: Path
) -> None:
    every = shelf(model, 30)
    names, state = file(every), tmp_path / "out.ndjson"
    running: list[Launched] = []
    held = threading.Event()

    def interrupt(_: Request) -> None:
        running[-1].send_signal(signal.SIGTERM)
        held.wait(20)

    model.intercept(on("GET", "app12/tags/list", interrupt, times=1))
    running.append(start(None, "check", "--from", names, "--resume", str(state), "--jobs", "3"))
    ran = wait(running[-1])
    held.set()
    assert ran.code == 143, ran.err
    some = decided(state.read_text())
    assert (0 < some.total() < 30, every[12] in some) == (True, False)
    assert tagger(None, "check", "--from", names, "--resume", str(state)).code == 0
    assert decided(state.read_text()) == Counter(every)


# -- no faster than a registry wants -----------------------------------------------------------------------------------


class Quota:
    """A registry's quota: a bucket that holds a number of requests and refills steadily; any more get a 429."""

    def __init__(self, rate: float, size: int) -> None:
        self.rate, self.size = rate, size
        self.left, self.at, self.exceeded, self.count = float(size), time.monotonic(), 0, 0
        self._lock = threading.Lock()

    def __call__(self, _: Request) -> Response | None:
        """Count a request."""
        with self._lock:
            now = time.monotonic()
            self.left, self.at = min(self.left + (now - self.at) * self.rate, self.size), now
            self.count += 1
            if self.left < 1:
                self.exceeded += 1
                return refusal(429, "TOOMANYREQUESTS", "too many requests", Retry_After="1")
            self.left -= 1
            return None


def four_shards(names: str, folder: Path, *words: str) -> list[str]:
    """Run a check in four processes at once; give what each decided."""
    states = [folder / f"{index}.ndjson" for index in range(4)]
    running = [
        start(None, "check", "--from", names, "--shard", f"{index}/4", "--resume", str(state), "--jobs", "2", *words)
        for index, state in enumerate(states)
    ]
    for each in running:
        ran = wait(each)
        assert ran.code == 0, ran.err
    return [state.read_text() for state in states]


def test_four_shards_together_never_exceed_the_rate_with_the_token_server(
    model: ModelRegistry, file: Callable[[Sequence[str]], str], tmp_path: Path, tell: Callable[[str], None]
) -> None:
    every = shelf(model, 12)
    model.auth = Bearer("nobody", "", anonymous=frozenset({"pull"}))
    # Each process may have two requests under way when one more is due.
    quota = Quota(rate=60, size=4 * 3)
    model.intercept(quota)
    found = four_shards(file(every), tmp_path, "--rate", f"{model.host}=60/s")
    assert sum(map(decided, found), Counter[str]()) == Counter(every)
    assert quota.exceeded == 0
    assert any(request.path == "/token" for request in model.requests), "those count too"
    tell(f"4 shards with --rate 60/s sent {quota.count} requests, and none was too many")


def test_a_registry_that_asks_for_a_pause_gets_it(model: ModelRegistry, file: Callable[[Sequence[str]], str]) -> None:
    every = shelf(model, 12)
    times: list[float] = []
    refused: list[float] = []

    def rule(_: Request) -> Response | None:
        times.append(time.monotonic())
        if len(times) == 20:
            refused.append(times[-1])
            return refusal(429, "TOOMANYREQUESTS", "too many requests", Retry_After="2")
        return None

    model.intercept(rule)
    ran = tagger(None, "check", "--from", file(every), "--jobs", "4")
    assert ran.code == 0, ran.err
    after = [at - refused[0] for at in times if at > refused[0]]
    # Some more may have been sent before the answer arrived.
    assert sum(seconds < 1.9 for seconds in after) <= 20
    assert len(after) > 50


# -- a real registry ---------------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_the_repositories_of_a_real_registry_are_listed_checked_and_repaired(
    registry: Registry, repository: str, file: Callable[[Sequence[str]], str], tmp_path: Path
) -> None:
    shops = [Repository(registry, f"{repository}/app{number}") for number in range(6)]
    for shop in shops:
        for tag in ("2.1.105", "2.1", "2", "latest"):
            shop.image(tag, "old")
        shop.image("2.1.106", "new")
    listed = tagger(None, "repos", registry.host)
    assert listed.code == 0, listed.err
    mine = [line for line in listed.out.splitlines() if f"/{repository}/" in line]
    assert sorted(mine) == sorted(map(str, shops))
    names, metrics = file(mine), tmp_path / "tagger.prom"
    checked = piped(names, "check", "-", "--json-lines", "--metrics", str(metrics))
    assert checked.code == 5, checked.err
    assert Counter(each["outcome"] for each in lines(checked.out)) == {"drift": 6}
    assert parsed(metrics.read_text())["tagger_drifted_tags", (("command", "check"),)] == 18
    assert tagger(None, "repair", "--from", names, "--jobs", "3").code == 0
    assert tagger(None, "check", "--from", names).code == 0


@pytest.mark.engine
def test_a_registry_without_tls_is_probed_once_for_all_repositories(
    registry_local: Registry, repository: str, file: Callable[[Sequence[str]], str], tmp_path: Path
) -> None:
    shops = [Repository(registry_local, f"{repository}/app{number}") for number in range(5)]
    for shop in shops:
        for tag in ("2.1.106", "2.1", "2", "latest"):
            shop.image(tag, "new")
    metrics = tmp_path / "tagger.prom"
    names = file([f"registry.local:5000/{repository}/app{number}" for number in range(5)])
    insecure = ["--insecure", "registry.local:5000", "--jobs", "1"]
    ran = tagger(None, "check", "--from", names, "--metrics", str(metrics), *insecure)
    assert ran.code == 0, ran.err
    sent = {
        dict(labels)["status"]: count
        for (name, labels), count in parsed(metrics.read_text()).items()
        if "requests" in name
    }
    assert sent == {"200": 25, "none": 1}


@pytest.mark.parametrize("option", ["--metrics", "--resume"])
def test_a_pipe_is_neither_read_nor_replaced_by_a_file(
    model: ModelRegistry, file: Callable[[Sequence[str]], str], tmp_path: Path, option: str
) -> None:
    names, pipe = file(shelf(model, 1)), tmp_path / "pipe"
    os.mkfifo(pipe)
    ran = tagger(None, "check", "--from", names, option, str(pipe))
    assert (ran.code, "cannot be written (it is not a regular file)" in ran.error) == (2, True)
    assert pipe.is_fifo()
