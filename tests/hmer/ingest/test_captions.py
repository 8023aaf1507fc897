import lzma
from pathlib import Path

import pytest

from hmer.errors import HmerError
from hmer.ingest.captions import outer_captions
from hmer.latex.vocabulary import vocabulary


def test_captions_are_spelled_alike_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "captions.txt.xz"
    lines = [r"{\frac{1}{x'}}", "% a comment", "", r"\frac 1 {x'}", r"\Omega", r"\frac{", "a+b"]
    path.write_bytes(lzma.compress("\n".join(lines).encode()))
    captions, counts = outer_captions([str(path)], vocabulary("wap"))
    assert captions == [r"\frac { 1 } { x ^ { \prime } }", "a + b"]
    assert counts == {
        "captions.txt.xz": {
            "taken": 2,
            "there already": 1,
            "not readable": 1,
            "with tokens that the vocabulary lacks": 1,
        }
    }


def test_a_file_of_which_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "captions.txt"
    path.write_text("\\Omega\n\\Omega + \\rho\n")
    with pytest.raises(HmerError, match=r"captions\.txt .*lacks .*Omega \(2\), .*rho \(1\)"):
        outer_captions([str(path)], vocabulary("wap"))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(HmerError, match="damaged, or no text"):
        outer_captions([str(path)], vocabulary("wap"))
