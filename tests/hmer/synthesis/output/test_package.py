from __future__ import annotations

import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from hmer.data.archive import read_members
from hmer.errors import HmerError
from hmer.synthesis.output.package import new_package

ENDS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".zip", "")


@pytest.mark.parametrize("end", ENDS)
def test_files_come_back(end: str, tmp_path: Path) -> None:
    path = tmp_path / "deeper" / f"ink{end}"
    with new_package(path) as add:
        add("a/b.inkml", b"one")
        add("a/c.inkml", b"two" * 9000)
        add("a/d.json", b"{}")
    found = {m.name.removeprefix("ink/"): m.data for m in read_members(path, ".inkml", "test")}
    assert found == {"a/b.inkml": b"one", "a/c.inkml": b"two" * 9000}
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("end", [end for end in ENDS if end])
def test_the_same_bytes_at_another_time(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, now in (("one", 1e9), ("two", 1.5e9)):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        with new_package(tmp_path / f"{name}{end}") as add:
            add("a", b"content")
    assert (tmp_path / f"one{end}").read_bytes() == (tmp_path / f"two{end}").read_bytes()


def test_kinds_are_what_their_names_say(tmp_path: Path) -> None:
    for end in (".tar.xz", ".zip"):
        with new_package(tmp_path / f"a{end}") as add:
            add("a", b"b")
    with tarfile.open(tmp_path / "a.tar.xz", "r:xz") as tar:
        assert [(m.name, m.uid, m.mtime) for m in tar] == [("a", 0, 0)]
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["a"]


@pytest.mark.parametrize("end", ENDS)
def test_an_error_leaves_what_was_there(end: str, tmp_path: Path) -> None:
    path = tmp_path / f"ink{end}"
    if end:
        path.write_bytes(b"before")
    with pytest.raises(KeyError), new_package(path) as add:
        add("a", b"b")
        raise KeyError
    assert [p.name for p in tmp_path.iterdir()] == ([path.name] if end else [])
    assert not end or path.read_bytes() == b"before"


def test_what_is_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    for path, message in (
        (tmp_path / "ink.rar", "name a folder, or end"),
        (tmp_path / "full", "something in it"),
        (tmp_path / "full" / "file" / "ink.zip", "cannot be written"),
    ):
        with pytest.raises(HmerError, match=message), new_package(path) as add:
            add("a", b"b")
    assert [p.name for p in tmp_path.rglob("*")] == ["full", "file"]
