from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.process import lines, run_group

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}])
print(child.pid, flush=True)
child.wait()
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"
)


def test_exit_code_and_lines(tmp_path: Path) -> None:
    heard: list[str] = []
    code = run_group(
        [sys.executable, "-c", "import sys; print('a'); print('b', file=sys.stderr); sys.exit(7)"],
        tmp_path,
        heard.append,
    )
    assert code == 7
    assert sorted(heard) == ["a", "b"]


def test_without_a_listener_it_just_runs(tmp_path: Path) -> None:
    assert run_group([sys.executable, "-c", "import sys; sys.exit(3)"], tmp_path) == 3


@pytest.mark.parametrize("child", ["import time; time.sleep(3600)", STUBBORN])
def test_an_interruption_ends_the_whole_group(tmp_path: Path, child: str) -> None:
    """Also a grandchild that ignores everything but SIGKILL."""
    # Where pytest itself was started in the background, SIGINT would be ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    heard: list[str] = []

    def interrupt(line: str) -> None:
        heard.append(line)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        run_group([sys.executable, "-c", PARENT.format(child=child)], tmp_path, interrupt)
    grandchild = int(heard[0])
    while Path(f"/proc/{grandchild}").exists():
        state = Path(f"/proc/{grandchild}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":
            break
        time.sleep(0.05)


def test_a_bar_that_redraws_itself_is_thinned_out() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"start\n" + b"".join(b"%d%%\r" % n for n in range(100)) + b"\xff end")
    os.close(writing)
    with io.FileIO(reading) as stream:
        assert list(lines(stream)) == ["start", "0%", "\ufffd end"]
