"""The stage wrapper under real DVC: whole outputs, one-line errors, exit codes, resume."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hmer.errors import HmerError
from pipeline.process import Interruption
from pipeline.stage import OURS, TRANSIENT, USER_ERROR, verdict

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy


def wait_for(path: Path, child: subprocess.Popen[bytes]) -> str:
    """What a child process writes into a file: however long it takes, but not beyond its end."""
    while not (path.exists() and path.read_text()):
        assert child.poll() is None, f"{path} never appeared"
        time.sleep(0.02)
    return path.read_text()


def wait_until_gone(pid: int) -> None:
    """A process that only waits to be reaped is gone."""
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.05)


def test_runs_once_and_then_not_again(toy: Toy) -> None:
    first = toy.run("-m", "dvc", "repro")
    assert first.returncode == 0, first.stderr
    assert (toy.root / "out/third/value.txt").read_text() == "ink"
    again = toy.run("-m", "dvc", "repro")
    assert "Data and pipelines are up to date." in again.stdout + again.stderr
    # Nothing is left of resume state, or of half-written outputs.
    assert {p.name for p in (toy.root / ".resume").rglob("*") if p.is_file()} == {"lock"}
    assert {p.name for p in (toy.root / "out").iterdir()} <= {
        ".gitignore",
        "first",
        "second",
        "third",
    }


def test_a_failure_is_one_line_and_leaves_nothing_half_written(toy: Toy) -> None:
    toy.params(second={"fail": "user"})
    done = toy.run("-m", "dvc", "repro")
    assert done.returncode != 0
    assert "error: second: the toy is broken: mend it" in done.stderr
    assert f"exited with {USER_ERROR}" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (toy.root / "out/second").exists()
    assert not list((toy.root / "out").glob(".*.partial"))


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
            code, message = verdict(error, Interruption(), Path())
            assert code == USER_ERROR
            assert message is not None and "no space left on the disk" in message

    def test_exit_code_of_the_error_itself(self) -> None:
        class Server(HmerError):
            exit_code = TRANSIENT

        assert verdict(Server("gone"), Interruption(), Path()) == (TRANSIENT, "gone")

    def test_permission(self) -> None:
        error = PermissionError(errno.EACCES, "Permission denied", "/data/x")
        assert verdict(error, Interruption(), Path()) == (USER_ERROR, "/data/x: Permission denied")

    def test_a_missing_file_is_the_users_where_the_parameters_name_it(self, tmp_path: Path) -> None:
        (tmp_path / "params.yaml").write_text(
            "raw: /data/raw\ningest: {source: x, images: {train: {images: ink/mine}}, a: [., /]}\n"
        )

        def told(file: str) -> str | None:
            error = FileNotFoundError(errno.ENOENT, "No such file or directory", file)
            return verdict(error, Interruption(), tmp_path)[1]

        for file in ("/data/raw/a/b.png", str(tmp_path / "ink/mine/1.png"), "/data/raw"):
            assert told(file) == f"{file}: No such file or directory; params.yaml names it"
        for other in (tmp_path / "data/dataset/train.parquet", tmp_path / "ink", "/data/x", "y"):
            assert told(str(other)) is None
        (tmp_path / "params.yaml").write_text("a: [")
        assert told("/data/raw") is None

    def test_unforeseen(self) -> None:
        assert verdict(KeyError("x"), Interruption(), Path()) == (1, None)

    def test_a_library_that_turns_a_signal_into_an_exit(self) -> None:
        interruption = Interruption()
        interruption.signal = signal.SIGTERM
        code, message = verdict(SystemExit(1), interruption, Path())
        assert code == 143
        assert message is not None and "stopped by a signal" in message
