from __future__ import annotations

from pathlib import Path

import pytest

from hmer.errors import HmerError
from pipeline.declaration import Declaration
from pipeline.resume import content_digest, fingerprint, resume_folder

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


def test_folders_differ_by_names_and_by_contents(tmp_path: Path) -> None:
    for name, files in {"one": {"a": "b"}, "two": {"ab": ""}, "three": {"a": "c"}}.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    assert len({content_digest(tmp_path / name) for name in ("one", "two", "three")}) == 3


def test_state_of_other_settings_is_pruned(tmp_path: Path) -> None:
    old = resume_folder(tmp_path, "train", "a" * 64)
    (old / "last.ckpt").write_text("x")
    other = resume_folder(tmp_path, "attend", "a" * 64)
    new = resume_folder(tmp_path, "train", "b" * 64)
    assert new.is_dir() and other.is_dir() and not old.exists()
    assert resume_folder(tmp_path, "train", "b" * 64) == new
