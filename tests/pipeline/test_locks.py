from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hmer.errors import HmerError
from pipeline.locks import hold, is_held

HOLDER = """
import sys, time
from pathlib import Path
from pipeline.locks import hold
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
