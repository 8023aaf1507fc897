from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hmer.errors import HmerError
from pipeline.process import hold, is_held

HOLDER = """
import sys, time
from pathlib import Path
from pipeline.process import hold
with hold(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_held_by_another_until_it_dies(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "lock"
    assert not is_held(tmp_path / "lock")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_held(path)
        with (
            pytest.raises(HmerError, match=f"the flow is being run by process {holder.pid}"),
            hold(path, "the flow"),
        ):
            pass
    finally:
        holder.kill()
        holder.communicate()
    assert not is_held(path)
    with hold(path, "the flow"):
        pass


GLANCER = """
import sys
from pathlib import Path
from pipeline.process import is_held
print(flush=True)
while True:
    is_held(Path(sys.argv[1]))
"""


def test_those_that_look_do_not_keep_it_from_who_wants_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    glancers = [
        subprocess.Popen(
            [sys.executable, "-c", GLANCER, str(path)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(3)
    ]
    try:
        for one in glancers:
            assert one.stdout is not None
            one.stdout.readline()
        for _ in range(50):
            with hold(path, "the flow", patience=600):
                pass
    finally:
        for one in glancers:
            one.kill()
            one.communicate()
