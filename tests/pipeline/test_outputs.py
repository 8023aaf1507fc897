from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.outputs import atomic_file, atomic_outputs


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_appears_whole_and_replaces_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.txt").write_text("old")
    (out / ".gitignore").write_text("/x")
    with atomic_outputs(out) as partial:
        (partial / "sub").mkdir()
        (partial / "sub" / "new.txt").write_text("new")
        assert names(out) == {"old.txt", ".gitignore"}
    assert names(out) == {"sub", ".gitignore"}
    assert (out / "sub/new.txt").read_text() == "new"
    assert names(tmp_path) == {"out"}


def test_an_exception_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with pytest.raises(KeyboardInterrupt), atomic_outputs(out) as partial:
        (partial / "half.txt").write_text("half")
        raise KeyboardInterrupt
    assert names(tmp_path / "deep") == set()


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    left = tmp_path / ".out.partial"
    left.mkdir()
    (left / "half.txt").write_text("half")
    with atomic_outputs(tmp_path / "out") as partial:
        assert names(partial) == set()
    assert names(tmp_path) == {"out"}


def test_a_single_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "report.json"
    with atomic_file(path) as partial:
        partial.write_text("1")
    with pytest.raises(ValueError, match="no"), atomic_file(path) as partial:
        partial.write_text("half")
        raise ValueError("no")
    assert path.read_text() == "1"
    assert names(path.parent) == {"report.json"}
