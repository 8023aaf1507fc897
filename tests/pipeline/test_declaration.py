from __future__ import annotations

from pathlib import Path

import pytest

from hmer.errors import HmerError
from pipeline.declaration import declaration, declarations

TEXT = """
stages:
  a:
    cmd: x
    deps: ["${raw}", code/a.py]
    params: [base, a]
    outs:
      - out/a
      - out/b: {persist: true}
    metrics:
      - m.json: {cache: false}
  b: {cmd: y}
"""


def test_deps_outs_params_with_templates_filled_in(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(TEXT)
    (tmp_path / "params.yaml").write_text("raw: /some/where")
    found = declaration(tmp_path, "a")
    assert found.deps == ("/some/where", "code/a.py")
    assert found.outs == ("out/a", "out/b", "m.json")
    assert found.params == ("base", "a")
    assert list(declarations(tmp_path)) == ["a", "b"]


def test_what_lies_inside(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(TEXT)
    (tmp_path / "params.yaml").write_text("raw: data/raw")
    found = declaration(tmp_path, "a")
    assert found.reads("data/raw/x.zip") and found.reads("data/raw")
    assert not found.reads("data/rawer") and not found.reads("data")
    assert found.writes("out/a") and found.writes("out") and not found.writes("elsewhere")


@pytest.mark.parametrize(
    ("params", "name", "wanted"),
    [
        ("{}", "a", "dvc.yaml uses ${raw}, which params.yaml does not set"),
        ("raw: x", "c", "dvc.yaml has no stage 'c', only a, b"),
    ],
)
def test_mistakes(tmp_path: Path, params: str, name: str, wanted: str) -> None:
    (tmp_path / "dvc.yaml").write_text(TEXT)
    (tmp_path / "params.yaml").write_text(params)
    with pytest.raises(HmerError) as caught:
        declaration(tmp_path, name)
    assert str(caught.value) == wanted
