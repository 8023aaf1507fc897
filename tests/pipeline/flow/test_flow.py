"""The Prefect flow over a toy project: states, exit codes, retries, signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pipeline.env import apply_environment
from pipeline.flow import flow as record
from pipeline.flow.config import FlowConfig
from pipeline.flow.flow import ReproLog, StageFailed, may_pass
from pipeline.flow.serve import answers, free_port, server

if TYPE_CHECKING:
    import subprocess

    from tests.pipeline.conftest import Toy


@pytest.fixture
def tracked(toy: Toy, empty_store: Path) -> Toy:
    """A toy project with its tracking store."""
    shutil.copyfile(empty_store, toy.root / "mlflow.db")
    return toy


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all flows of this file: the one that `serve` starts."""
    home = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("PREFECT", "MLFLOW")):
                patch.delenv(name)
        kept = dict(os.environ)
        apply_environment(home)
        patch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", f"sqlite+aiosqlite:///{home}/db")
        with server() as url:
            yield url
        assert not answers(url)
        os.environ.clear()
        os.environ.update(kept)


def at(url: str) -> str:
    """The command line with that Prefect server."""
    return f"import os; os.environ['PREFECT_API_URL'] = {url!r}; exec(open('go.py').read())"


def go(toy: Toy, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return toy.run("-c", at(url), *arguments)


def asked(url: str, path: str) -> list[dict[str, Any]]:
    """What the server says."""
    request = urllib.request.Request(
        f"{url}/{path}", b"{}", {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        found: list[dict[str, Any]] = json.load(reply)
        return found


def runs(toy: Toy) -> list[tuple[str, str]]:
    with sqlite3.connect(toy.root / "mlflow.db") as store:
        rows = store.execute("select name, status from runs order by start_time")
        return [(str(name), str(status)) for name, status in rows]


@pytest.mark.slow
def test_ran_cached_failed_and_tried_again(tracked: Toy, prefect_server: str) -> None:
    """One story in three flows: starting one takes seconds."""
    tracked.params(second={"fail": "user"})
    first = go(tracked, prefect_server, "run")
    assert first.returncode == 2
    assert "error: stage second failed: the toy is broken: mend it" in first.stderr
    told = first.stdout + first.stderr
    assert "first at work, start 1" in told
    assert "Retry" not in told, "a mistake is no better the second time"
    assert not (tracked.root / "out/third").exists()
    assert runs(tracked) == [("pipeline", "FAILED")]

    done = {
        "model": "hmer", "version": 3, "decision": "challenger", "reason": "not better",
        "split": "dev", "exprate": 57.142, "interval": [55.0, 59.3], "comparison": None,
        "evaluation_data": "ab" * 32,
    }  # fmt: skip
    (tracked.root / "reports").mkdir(exist_ok=True)
    (tracked.root / "reports/registration.json").write_text(json.dumps(done))
    tracked.params(second={"fail": "once", "optimisation": {"steps": 1}})
    second = go(tracked, prefect_server, "run")
    assert second.returncode == 0, second.stderr
    told = second.stdout + second.stderr
    assert "Retry 1/2" in told
    assert "first cached, second ran, third ran" in told
    assert (tracked.root / "out/second/starts.txt").read_text() == "2", "it did not resume"
    assert (tracked.root / "out/third/value.txt").read_text() == "ink"

    found = asked(prefect_server, "artifacts/filter")
    (artifact,) = [one for one in found if one["key"] == "outcome"]
    assert (
        "challenger, ExpRate 57.1 % (55.0 to 59.3): hmer version 3 on `dev`. Not better."
        in artifact["data"]
    )
    assert "- second: ran" in artifact["data"] and artifact["flow_run_id"]
    tagged = [set(run["tags"]) for run in asked(prefect_server, "flow_runs/filter")]
    assert {f"project:{tracked.root}", "challenger", "version:3"} in tagged
    flows = {run["name"] for run in asked(prefect_server, "flow_runs/filter")}
    assert flows == {"parameters as they are"}
    names = {run["name"] for run in asked(prefect_server, "task_runs/filter")}
    assert names == {"first", "second", "third"}
    states = {run["state_name"] for run in asked(prefect_server, "task_runs/filter")}
    assert states == {"Ran", "Cached", "Failed"}
    lines = {log["message"] for log in asked(prefect_server, "logs/filter")}
    assert "second at work, start 2" in lines, "the stage's log is not in the user interface"
    (limit,) = asked(prefect_server, "v2/concurrency_limits/filter")
    assert (limit["name"], limit["limit"], limit["active_slots"]) == ("hmer-training", 1, 0)

    third = go(tracked, prefect_server, "run")
    assert third.returncode == 0
    assert "first cached, second cached, third cached" in third.stdout + third.stderr
    assert len(runs(tracked)) == 2, "a run in which nothing is done is no news"


class Hook:
    """A web server that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/json"
                hook.told.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/secret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.slow
def test_the_server_tells_how_runs_end(tracked: Toy, prefect_server: str, hook: Hook) -> None:
    """By an automation of Prefect's own, which every run brings up to date."""

    def run(**sections: dict[str, object]) -> int:
        tracked.params(**sections)
        return go(tracked, prefect_server, "run").returncode

    def told(count: int) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while len(hook.told) < count:
            assert time.monotonic() < deadline, hook.told
            time.sleep(0.1)
        return hook.told[-1]

    assert run(second={"fail": "user"}, flow={"webhook": hook.url}) == 2
    failed = told(1)
    assert (failed["state"], failed["run"]) == ("Failed", "parameters as they are")
    assert "stage second failed: the toy is broken: mend it" in failed["message"]
    assert failed["text"].startswith(f"hmer {tracked.root}: Failed: ")

    both: dict[str, object] = {"webhook": hook.url, "notify": ["failure", "success"]}
    assert run(flow=both) == run(flow=both) == run(second={"text": "?"}, flow=both) == 0
    assert [told(3)["state"], len(hook.told)] == ["Completed", 3], "one had nothing to do"
    assert "second ran, third ran" in hook.told[-1]["message"]

    def ours() -> list[str]:
        names = [one["name"] for one in asked(prefect_server, "automations/filter")]
        return [name for name in names if name == f"hmer {tracked.root}"]

    assert len(ours()) == 1
    assert run() == 0 and not ours()


@pytest.mark.medium
def test_which_runs_are_told_of(tmp_path: Path) -> None:
    """Asked of the server's own code."""
    from uuid import uuid4

    from prefect.server.events.schemas.automations import EventTrigger
    from prefect.server.events.schemas.events import ReceivedEvent

    def event(state: str, tag: str) -> ReceivedEvent:
        return ReceivedEvent.model_validate({
            "id": uuid4(), "occurred": "2026-01-01T00:00:00Z", "event": f"prefect.flow-run.{state}",
            "resource": {"prefect.resource.id": f"prefect.flow-run.{uuid4()}"},
            "related": [{"prefect.resource.id": f"prefect.tag.{tag}",
                         "prefect.resource.role": "tag"}],
        })  # fmt: skip

    made = record.automation(tmp_path, FlowConfig(), uuid4())
    there = EventTrigger.model_validate(made.trigger.model_dump(mode="json"))
    ours = record.project_tag(tmp_path)
    found = {
        (state, tag)
        for state in ("Failed", "Crashed", "Completed", "Cached", "Running")
        for tag in (ours, f"{ours}-2")
        if there.covers(event(state, tag)) and there.expects(f"prefect.flow-run.{state}")
    }
    assert found == {("Failed", ours), ("Crashed", ours)}


@pytest.mark.slow
def test_a_stage_that_takes_too_long_is_ended(tracked: Toy, prefect_server: str) -> None:
    """And told to the webhook, which is not there: that is the server's affair."""
    tracked.params(
        first={"seconds": 100000},
        flow={"limits": {"first": 0.1}, "delays": [0.1], "webhook": "http://127.0.0.1:1/"},
    )
    done = go(tracked, prefect_server, "run")
    assert done.returncode == 1
    assert "stage first failed: not done after 0.1 minutes" in done.stderr
    assert "Retry" not in done.stdout + done.stderr
    assert "nobody will be told" not in done.stdout + done.stderr
    assert not (tracked.root / "out/first").exists()
    started = tracked.root / "pid-first"
    assert not (started.exists() and Path(f"/proc/{started.read_text()}").exists())


@pytest.mark.slow
def test_one_training_at_a_time(prefect_server: str) -> None:
    from prefect.logging import disable_run_logger
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from pipeline.flow.flow import one_training

    in_turn = threading.Event()

    def second() -> None:
        with (
            temporary_settings({PREFECT_API_URL: prefect_server}),
            disable_run_logger(),
            one_training(True),
        ):
            in_turn.set()

    other = threading.Thread(target=second)
    with temporary_settings({PREFECT_API_URL: prefect_server}), one_training(True):
        other.start()
        assert not in_turn.wait(3)
    assert in_turn.wait(60), "the place is not given on"
    other.join()


@pytest.mark.slow
def test_everything_listens_on_this_machine_only(prefect_server: str) -> None:
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = [
        connection.laddr.ip
        for process in family
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening and set(listening) <= {"127.0.0.1", "::1"}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_flow(tracked: Toy, prefect_server: str, number: int) -> None:
    tracked.params(second={"seconds": 100000})
    script = (
        f"import os; os.environ['PREFECT_API_URL'] = {prefect_server!r}; exec(open('go.py').read())"
    )
    flow = tracked.start("-c", script, "run")
    path = tracked.root / "pid-second"
    while not (path.exists() and path.read_text()):
        assert flow.poll() is None
        time.sleep(0.05)
    stage = int(path.read_text())
    flow.send_signal(number)
    output, _ = flow.communicate()
    assert flow.returncode == (143 if number == signal.SIGTERM else -number), output.decode()
    while Path(f"/proc/{stage}").exists():  # or it outlives the flow, and this never ends
        time.sleep(0.05)
    wanted = "KILLED" if number == signal.SIGTERM else "RUNNING"
    assert runs(tracked) == [("pipeline", wanted)]
    assert not (tracked.root / "out/second").exists()
    (starts,) = (tracked.root / ".resume/second").rglob("starts.txt")
    assert starts.read_text() == "1", "there is nothing to go on from"

    # The next run goes on, and closes what was killed.
    tracked.params(second={"seconds": 0})
    assert go(tracked, prefect_server, "run").returncode == 0
    assert runs(tracked) == [("pipeline", "KILLED"), ("pipeline", "FINISHED")]
    ours = f"project:{tracked.root}"
    found = [run for run in asked(prefect_server, "flow_runs/filter") if ours in run["tags"]]
    assert {run["state_type"] for run in found} == {"CRASHED", "COMPLETED"}


@pytest.mark.slow
def test_two_flows_at_once_are_refused(toy: Toy, prefect_server: str) -> None:
    from pipeline.process import hold

    with hold(toy.root / ".resume/flow.lock", "a test"):
        done = go(toy, prefect_server, "run")
    assert done.returncode != 0
    assert f"the pipeline is being run by process {os.getpid()}" in done.stderr


@pytest.mark.medium
def test_without_prefect_it_is_dvc_repro(tracked: Toy) -> None:
    done = tracked.run("go.py", "run", "--no-prefect")
    assert done.returncode == 0, done.stderr
    assert "Running stage 'third'" in done.stdout + done.stderr
    assert "Nothing has been evaluated yet" in done.stdout
    tracked.params(first={"fail": "user"})
    done = tracked.run("go.py", "run", "--no-prefect")
    assert done.returncode != 0
    assert "error: first: the toy is broken" in done.stdout + done.stderr


def test_what_the_lines_of_dvc_say() -> None:
    told = ReproLog("x")
    for line in (
        "Running stage 'x':",
        "error: x: the loss became nan",
        "ERROR: failed to reproduce 'x': failed to run: python -m x, exited with 2",
    ):
        told.take(line)
    assert (told.ran, told.code, told.last, told.busy) == (True, 2, "the loss became nan", False)
    busy = ReproLog("x")
    busy.take("ERROR: '/p/out' is busy, it is being blocked by:")
    assert busy.busy and not busy.ran and "is busy" in busy.last


def test_only_what_may_pass_is_tried_again() -> None:
    from prefect.client.schemas.objects import State, StateType

    def failed(error: Exception) -> State[object]:
        state: State[object] = State(type=StateType.FAILED)
        state.__dict__["result"] = lambda raise_on_failure=True: error
        return state

    assert may_pass(None, None, failed(StageFailed("x", 75, "gone", transient=True)))
    assert not may_pass(None, None, failed(StageFailed("x", 2, "bad", transient=False)))
    assert not may_pass(None, None, failed(RuntimeError("bug")))


def test_a_taken_port_is_avoided() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port


def test_who_listens_on_a_port() -> None:
    import socket
    import subprocess
    import sys

    from pipeline.flow.serve import listens

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert listens(os.getpid(), port)
        assert not listens(os.getpid(), port + 1)
        other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        try:
            assert not listens(other.pid, port), "a port of somebody else"
        finally:
            other.communicate()
    assert not listens(other.pid, port), "it is gone"


def test_a_port_that_is_lost_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Somebody else was faster: our server ends, although something answers at the address."""
    import sys

    from pipeline.flow import serve as servers
    from pipeline.process import end_group

    tried = tmp_path / "ports"
    monkeypatch.setattr(servers, "SERVER", (sys.executable, "-c", SECOND_LISTENS, str(tried)))
    monkeypatch.setattr(servers, "answers", lambda url: True)
    child, url = servers.started()
    end_group(child)
    ports = tried.read_text().split()
    assert len(ports) == 2 and url == f"http://127.0.0.1:{ports[1]}/api"


SECOND_LISTENS = """
import pathlib, socket, sys, time
tried, port = pathlib.Path(sys.argv[1]), sys.argv[-1]
first = not tried.exists()
with tried.open("a") as file:
    file.write(port + " ")
if first:
    raise SystemExit(1)
here = socket.socket()
here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
here.bind(("127.0.0.1", int(port)))
here.listen()
time.sleep(60)
"""


@pytest.mark.slow
def test_a_worker_of_a_pool_runs_it(tracked: Toy, prefect_server: str) -> None:
    """As the documentation says: a process pool, a deployment, a worker, a run from elsewhere."""
    (tracked.root / "served.py").write_text(
        "import pipeline.configure\n"
        "pipeline.configure.prepare = lambda *_: None\n"
        "from pipeline.flow.flow import pipeline_flow\n"
    )

    def prefect(*arguments: str) -> list[str]:
        return ["-c", begin, *arguments]

    begin = (
        f"import os, runpy; os.environ['PREFECT_API_URL'] = {prefect_server!r}; "
        "runpy.run_module('prefect', run_name='__main__')"
    )
    deploy = ["deploy", "served.py:pipeline_flow", "--name", "team", "--pool", "trainers"]
    for command in (
        ["work-pool", "create", "trainers", "--type", "process"],
        ["--no-prompt", *deploy],
    ):
        done = tracked.run(*prefect(*command))
        assert done.returncode == 0, done.stdout + done.stderr
    worker = tracked.start(*prefect("worker", "start", "--pool", "trainers"))
    try:
        done = tracked.run(*prefect("deployment", "run", "hmer/team", "--watch"))
    finally:
        worker.kill()  # Prefect's worker once went on after a SIGTERM that came right after a run
        output, _ = worker.communicate()
    assert done.returncode == 0, done.stdout + done.stderr + output.decode()
    assert (tracked.root / "out/third/value.txt").read_text() == "ink"
    assert runs(tracked) == [("pipeline", "FINISHED")]
