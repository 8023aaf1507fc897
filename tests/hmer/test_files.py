from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hmer.files import atomic_file, atomic_folder, content_digest

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_appears_whole_and_replaces_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.txt").write_text("old")
    (out / ".gitignore").write_text("/x")
    with atomic_folder(out) as partial:
        (partial / "sub").mkdir()
        (partial / "sub" / "new.txt").write_text("new")
        assert names(out) == {"old.txt", ".gitignore"}
    assert names(out) == {"sub", ".gitignore"}
    assert (out / "sub/new.txt").read_text() == "new"
    assert names(tmp_path) == {"out"}


def test_an_exception_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with pytest.raises(KeyboardInterrupt), atomic_folder(out) as partial:
        (partial / "half.txt").write_text("half")
        raise KeyboardInterrupt
    assert names(tmp_path / "deep") == set()


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    """By this code or by earlier one; but not what a living process, or another output, has."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for left in (".out.partial", f".out.{dead.pid}-0a1b.partial"):
        (tmp_path / left).mkdir()
        (tmp_path / left / "half.txt").write_text("half")
    others = {f".out.{os.getppid()}-0a1b.partial", f".out.json.{dead.pid}-0a1b.partial"}
    for other in others:
        (tmp_path / other).write_text("half")
    with atomic_folder(tmp_path / "out") as partial:
        assert names(partial) == set()
    assert names(tmp_path) == {"out", *others}


KILLED = """
import os, signal, sys
from pathlib import Path
from hmer.files import atomic_folder

rename, seen = Path.rename, []
def counted(self, target):
    if len(seen) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    seen.append(target)
    return rename(self, target)
Path.rename = counted
with atomic_folder(Path(sys.argv[1])) as partial:
    (partial / "new.txt").write_text("new")
"""


@pytest.mark.parametrize("renames", [0, 1])
def test_a_kill_between_the_renames_loses_nothing(tmp_path: Path, renames: int) -> None:
    out = tmp_path / "out"
    with atomic_folder(out) as partial:
        (partial / "old.txt").write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(out), str(renames)], cwd=ROOT, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert out.exists() is (renames == 0)
    with pytest.raises(ValueError, match="no"), atomic_folder(out):
        assert (out / "old.txt").read_text() == "old", "what was there is back"
        raise ValueError("no")
    assert names(tmp_path) == {"out"}
    with atomic_folder(out) as partial:
        (partial / "newer.txt").write_text("newer")
    assert names(tmp_path) == {"out"} and names(out) == {"newer.txt"}


WRITER = """
import sys
from pathlib import Path
from hmer.files import atomic_file
print(flush=True)
sys.stdin.readline()
for number in range(60):
    with atomic_file(Path(sys.argv[1])) as partial:
        partial.write_text(sys.argv[2] * 1000)
"""


def test_several_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "checked.json"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), letter],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for letter in "abcd"
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0] * 4
    text = path.read_text()
    assert text == text[0] * 1000 and names(tmp_path) == {"checked.json"}


def test_a_single_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "report.json"
    with atomic_file(path) as partial:
        partial.write_text("1")
    with pytest.raises(ValueError, match="no"), atomic_file(path) as partial:
        partial.write_text("half")
        raise ValueError("no")
    assert path.read_text() == "1"
    assert names(path.parent) == {"report.json"}


def test_folders_differ_by_names_and_by_contents(tmp_path: Path) -> None:
    for name, files in {"one": {"a": "b"}, "two": {"ab": ""}, "three": {"a": "c"}}.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    assert len({content_digest(tmp_path / name) for name in ("one", "two", "three")}) == 3
