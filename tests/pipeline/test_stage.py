"""The stage wrapper under real DVC: whole outputs, one-line errors, exit codes, resume."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hmer.errors import HmerError
from pipeline.dvcfile import Declaration, declaration
from pipeline.process import Interruption
from pipeline.stage import (
    OURS,
    RANKS,
    TRANSIENT,
    USER_ERROR,
    HelperStage,
    fingerprint,
    is_helper,
    resume_folder,
    verdict,
)
from tests.pipeline.conftest import Toy, wait_until_gone

pytestmark = pytest.mark.medium


def wait_for(path: Path, child: subprocess.Popen[bytes]) -> str:
    """What a child process writes into a file: however long it takes, but not beyond its end."""
    while not (path.exists() and path.read_text()):
        assert child.poll() is None, f"{path} never appeared"
        time.sleep(0.02)
    return path.read_text()


def test_runs_once_and_then_not_again(made: Toy) -> None:
    assert (made.root / "out/third/value.txt").read_text() == "ink"
    again = made.run("-m", "dvc", "repro")
    assert "Data and pipelines are up to date." in again.stdout + again.stderr
    # Nothing is left of resume state, or of half-written outputs.
    assert {p.name for p in (made.root / ".resume").rglob("*") if p.is_file()} == {"lock"}
    assert {p.name for p in (made.root / "out").iterdir()} <= {
        ".gitignore",
        "first",
        "second",
        "third",
    }


def test_a_failure_is_one_line_and_leaves_nothing_half_written(made: Toy) -> None:
    made.params(second={"fail": "user"})
    done = made.run("-m", "dvc", "repro")
    assert done.returncode != 0
    assert "error: second: the toy is broken: mend it" in done.stderr
    assert f"exited with {USER_ERROR}" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (made.root / "out/second").exists()
    assert not list((made.root / "out").glob(".*.partial"))


def test_a_bug_keeps_its_traceback(toy: Toy) -> None:
    toy.params(first={"fail": "bug"})
    done = toy.run("toy.py", "first")
    assert done.returncode == 1
    assert "RuntimeError: nobody foresaw this" in done.stderr
    assert done.stderr.rstrip().endswith(OURS)


def test_a_file_that_we_ought_to_have_made_is_our_bug(toy: Toy) -> None:
    (toy.root / "out/first").mkdir(parents=True)  # without value.txt
    done = toy.run("toy.py", "second")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "value.txt" in done.stderr
    assert done.stderr.rstrip().endswith(OURS)


def test_a_missing_upstream_output_names_the_remedy(toy: Toy) -> None:
    done = toy.run("toy.py", "second")
    assert done.returncode == USER_ERROR
    assert done.stderr == (
        "error: second: out/first is missing: run `dvc repro second`, which makes it\n"
    )


def test_an_unknown_parameter_stops_the_stage(toy: Toy) -> None:
    toy.params(first={"secnods": 1})
    done = toy.run("toy.py", "first")
    assert done.returncode == USER_ERROR
    assert "first.secnods is not a parameter; did you mean first.seconds?" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_stage_in_order(toy: Toy, number: signal.Signals) -> None:
    toy.params(first={"seconds": 100000})
    child = toy.start("toy.py", "first")
    wait_for(toy.root / "pid-first", child)
    child.send_signal(number)
    output, _ = child.communicate()
    assert child.returncode == 128 + number
    assert b"stopped by a signal; run `dvc repro` to go on" in output
    assert not (toy.root / "out/first").exists()
    assert not list((toy.root / "out").glob(".*.partial"))


def test_a_killed_stage_resumes_and_a_changed_one_starts_afresh(toy: Toy) -> None:
    toy.params(first={"seconds": 100000, "text": "!"})
    child = toy.start("toy.py", "first")
    wait_for(toy.root / "pid-first", child)
    child.kill()
    child.wait()
    assert list((toy.root / "out").glob(".first.*.partial/half.txt"))
    assert not (toy.root / "out/first").exists()

    # The same parameters: the second start finds the state of the first.
    other = toy.start("toy.py", "first")
    while wait_for(toy.root / "pid-first", other) != str(other.pid):
        time.sleep(0.02)
    other.kill()
    other.wait()
    (found,) = (toy.root / ".resume/first").rglob("starts.txt")
    assert found.read_text() == "2"

    # Other parameters: another fingerprint, and the stale state is gone.
    toy.params(first={"seconds": 0, "text": "?"})
    done = toy.run("toy.py", "first")
    assert done.returncode == 0, done.stderr
    assert (toy.root / "out/first/starts.txt").read_text() == "1"
    assert (toy.root / "out/first/value.txt").read_text() == "ink?"
    assert not list((toy.root / ".resume/first").rglob("starts.txt"))


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_a_stage_dies_with_the_dvc_that_started_it(
    toy: Toy, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # DVC runs commands in the user's shell: one becomes the command, another waits for it.
    monkeypatch.setenv("SHELL", shell)
    toy.params(first={"seconds": 100000})
    dvc = toy.start("-m", "dvc", "repro", "first")
    stage = int(wait_for(toy.root / "pid-first", dvc))
    dvc.kill()
    dvc.wait()
    wait_until_gone(stage)


def test_two_of_one_stage_are_refused(toy: Toy) -> None:
    toy.params(first={"seconds": 100000})
    child = toy.start("toy.py", "first")
    wait_for(toy.root / "pid-first", child)
    second = toy.run("toy.py", "first")
    child.kill()
    child.communicate()
    assert second.returncode == USER_ERROR
    assert f"stage first is being run by process {child.pid}" in second.stderr


class TestVerdict:
    def test_full_disk_also_when_a_library_hides_it(self) -> None:
        cause = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x")
        hidden = RuntimeError("could not write")
        hidden.__cause__ = cause
        for error in (cause, hidden, RuntimeError("write: No space left on device")):
            code, message = verdict(error, Interruption())
            assert code == USER_ERROR
            assert message is not None and "no space left on the disk" in message

    def test_exit_code_of_the_error_itself(self) -> None:
        class Server(HmerError):
            exit_code = TRANSIENT

        assert verdict(Server("gone"), Interruption()) == (TRANSIENT, "gone")

    def test_permission(self) -> None:
        error = PermissionError(errno.EACCES, "Permission denied", "/data/x")
        assert verdict(error, Interruption()) == (USER_ERROR, "/data/x: Permission denied")

    def test_unforeseen(self) -> None:
        missing = FileNotFoundError(errno.ENOENT, "No such file or directory", "data/x")
        for error in (KeyError("x"), missing):
            assert verdict(error, Interruption()) == (1, None)

    def test_a_library_that_turns_a_signal_into_an_exit(self) -> None:
        interruption = Interruption()
        interruption.signal = signal.SIGTERM
        code, message = verdict(SystemExit(1), interruption)
        assert code == 143
        assert message is not None and "stopped by a signal" in message


ROOT = Path(__file__).parents[2]
DECLARED = Declaration("train", ("code", "data.bin"), ("out",), ("base", "train.rate"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "code" / "__pycache__").mkdir(parents=True)
    (tmp_path / "code" / "a.py").write_text("a = 1")
    (tmp_path / "data.bin").write_bytes(b"data")
    return tmp_path


PARAMS = {"base": {"seed": 1}, "train": {"rate": 0.1, "note": "x"}}


def test_it_depends_on_all_that_is_declared_and_on_nothing_else(project: Path) -> None:
    def now(**changes: object) -> str:
        return fingerprint(DECLARED, {**PARAMS, **changes}, project)

    first = now()
    assert now() == first
    assert now(train={"rate": 0.1, "note": "y"}) == first
    assert now(other=1) == first
    (project / "code" / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert now() == first
    seen = {first, now(train={"rate": 0.2}), now(base={"seed": 2}), now(base={})}
    (project / "data.bin").write_bytes(b"datA")
    seen.add(now())
    (project / "code" / "a.py").rename(project / "code" / "b.py")
    seen.add(now())
    assert len(seen) == 6


def test_a_missing_dependency_names_the_remedy(project: Path) -> None:
    (project / "data.bin").unlink()
    with pytest.raises(HmerError, match=r"data.bin is missing: run `dvc repro train`"):
        fingerprint(DECLARED, PARAMS, project)


def test_state_of_other_settings_is_pruned(tmp_path: Path) -> None:
    old = resume_folder(tmp_path, "train", "a" * 64)
    (old / "last.ckpt").write_text("x")
    other = resume_folder(tmp_path, "attend", "a" * 64)
    new = resume_folder(tmp_path, "train", "b" * 64)
    assert new.is_dir() and other.is_dir() and not old.exists()
    assert resume_folder(tmp_path, "train", "b" * 64) == new


RANK = """
import sys
from pathlib import Path
from pipeline.dvcfile import Declaration
from pipeline.stage import HelperStage
from pipeline.stage import Stage

declared = Declaration("train", ("data.bin",), ("out",), ("train",))
root = Path(sys.argv[1])
print(flush=True)
for line in sys.stdin:
    (Stage if sys.argv[2] == "0" else HelperStage)("train", root, declared).resume
    print(flush=True)
"""


def test_several_ranks_find_stale_state(project: Path) -> None:
    """Only the first removes it: they all come at once, and would stumble over each other."""
    (project / "params.yaml").write_text("train: {}")
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(project), str(rank)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for rank in range(4)
    ]  # fmt: skip
    for rank in ranks:
        assert rank.stdout is not None
        rank.stdout.readline()
    for moment in range(20):
        for old in range(10):
            stale = project / ".resume/train" / f"stale{moment}-{old}"
            stale.mkdir(parents=True)
            for number in range(10):
                (stale / str(number)).write_text("x")
        for rank in ranks:
            assert rank.stdin is not None
            rank.stdin.write("now\n")
            rank.stdin.flush()
        for rank in ranks:
            assert rank.stdout is not None
            assert rank.stdout.readline() == "\n", "a rank has died"
    for rank in ranks:
        rank.communicate()
    assert [rank.returncode for rank in ranks] == [0] * 4
    assert len(list((project / ".resume/train").iterdir())) == 1


def test_who_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RANKS:
        monkeypatch.delenv(name, raising=False)
    assert not is_helper()
    monkeypatch.setenv("RANK", "0")
    assert not is_helper()
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert is_helper()


def test_it_writes_and_tells_nothing(toy: Toy) -> None:
    stage = HelperStage("first", toy.root, declaration(toy.root, "first"))
    with stage.tracked({}) as tracker, stage.outputs("out/first") as out:
        (out / "value.txt").write_text("x")
        tracker.outputs(out)
        tracker.metrics({"loss": 1.0}, step=3)
    assert not out.exists() and not (toy.root / "out").exists()
    (stage.resume / "last.ckpt").write_text("shared")
    stage.end()
    assert (stage.resume / "last.ckpt").exists()
    with pytest.raises(ValueError, match="not among the outs"), stage.outputs("elsewhere"):
        pass


STARTER = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "toy.py", "first"], env={**os.environ, "LOCAL_RANK": "1"})
time.sleep(100000)
"""


def test_it_does_not_outlive_who_started_it(toy: Toy) -> None:
    """It runs beside the stage that holds the lock, and ends with it."""
    from pipeline.process import hold

    toy.params(first={"seconds": 100000})
    with hold(toy.root / ".resume/first/lock", "the first process"):
        starter = toy.start("-c", STARTER)
        helper = int(wait_for(toy.root / "pid-first", starter))
        starter.send_signal(signal.SIGKILL)
        starter.wait()
        wait_until_gone(helper)
    assert starter.stdout is not None
    starter.stdout.close()
    assert not (toy.root / "out/first").exists()
