from pathlib import Path

import numpy as np
import pytest

from hmer.errors import HmerError, LatexError
from hmer.latex.tree import serialise
from hmer.synthesis.compose import Composer
from hmer.synthesis.grammar.listed import Listed


def test_lines_become_expressions(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("x^2\n\n% a remark\n$\\frac12$\n")
    listed = Listed.read(path)
    assert [serialise(row) for row in listed.rows] == [
        "x ^ { 2 }".split(),
        r"\frac { 1 } { 2 }".split(),
    ]
    rng = np.random.default_rng(0)
    drawn = [listed.sample(rng) for _ in range(200)]
    assert 60 < drawn.count(listed.rows[0]) < 140
    written = Composer(None, listed)(rng)
    assert written is not None and written.tokens in [serialise(row) for row in listed.rows]


@pytest.mark.parametrize(
    ("line", "message"),
    [(r"\frac{1", "unbalanced"), (r"a\nonsense", "nonsense"), ("a" * 300, "300 tokens")],
)
def test_bad_lines_are_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(f"a\n{line}\n")
    with pytest.raises(LatexError, match=rf"mine\.txt, line 2: .*{message}"):
        Listed.read(path)


def test_files_without_expressions(tmp_path: Path) -> None:
    with pytest.raises(HmerError, match="cannot be read"):
        Listed.read(tmp_path / "none")
    (tmp_path / "empty").write_text("\n% nothing\n")
    with pytest.raises(HmerError, match="holds no expression"):
        Listed.read(tmp_path / "empty")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HmerError, match="cannot be read as UTF-8"):
        Listed.read(tmp_path / "binary")
    with pytest.raises(ValueError, match="at least one"):
        Listed([])
