"""Parameters are checked once, and again as soon as they or the code change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import pipeline.configure
from hmer.errors import HmerError
from pipeline.configure import CHECKED, check, prepare

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copyfile(ROOT / "configs/default.yaml", tmp_path / "params.yaml")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    return tmp_path


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were really checked."""
    done: list[Path] = []
    load = pipeline.configure.load_params

    def counted(path: Path) -> pipeline.configure.Params:
        done.append(path)
        return load(path)

    monkeypatch.setattr(pipeline.configure, "load_params", counted)
    return done


def test_what_was_found_right_is_not_checked_again(project: Path, checks: list[Path]) -> None:
    prepare(project, None, ())
    check(project, None, ())
    prepare(project, None, ())
    assert len(checks) == 1


def test_other_parameters_are_checked(project: Path, checks: list[Path]) -> None:
    prepare(project, None, ())
    prepare(project, None, ("base.seed=7",))
    assert len(checks) == 2
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("seed: 7", "sede: 7"))
    for _ in range(2):
        with pytest.raises(HmerError, match=r"did you mean base\.seed"):
            check(project, None, ())


def test_other_code_checks_anew(
    project: Path, checks: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hmer

    more = tmp_path / "more"
    more.mkdir()
    (more / "part.py").write_text("LIMIT = 1\n")
    monkeypatch.setattr(hmer, "__path__", [*hmer.__path__, str(more)])
    prepare(project, None, ())
    (more / "part.py").write_text("LIMIT = 2\n")
    prepare(project, None, ())
    assert len(checks) == 2


def test_a_damaged_record_is_no_record(project: Path, checks: list[Path]) -> None:
    prepare(project, None, ())
    (project / CHECKED).write_text("[]")
    prepare(project, None, ())
    assert len(checks) == 2


def test_settings_are_checked_without_being_written(project: Path) -> None:
    before = (project / "params.yaml").read_bytes()
    with pytest.raises(HmerError):
        check(project, None, ("base.seed=-1",))
    assert (project / "params.yaml").read_bytes() == before
