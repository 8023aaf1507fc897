from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hmer.errors import HmerError
from hmer.files import content_digest
from pipeline.dvcfile import Declaration
from pipeline.stage import fingerprint, resume_folder

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
    for time in range(20):
        for old in range(10):
            stale = project / ".resume/train" / f"stale{time}-{old}"
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
