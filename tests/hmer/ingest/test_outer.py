from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from hmer.errors import HmerError
from hmer.ingest.glyphs import GlyphsConfig
from hmer.ingest.ingest import IngestConfig, ingest
from hmer.ingest.outer import TESTS, outer_captions
from hmer.ingest.statistics import overlap, profile
from hmer.latex.vocabulary import chosen_vocabulary, vocabulary
from hmer.synthesis.base import CAPTIONS, HELD_OUT, ISOLATED, Leakage, read_captions
from hmer.synthesis.glyphs.bank import GlyphBank
from tests.samples import read_samples

LETTERS = "abcdefgh"


@pytest.fixture(scope="module")
def lent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with a third of 40 symbols of two classes and of the captions held out."""
    folder = tmp_path_factory.mktemp("lent")
    lines = [
        json.dumps(
            {
                "command": command,
                "row": row,
                "strokes": [[[row, 0], [9 * row, 900]]],
            }
        )
        for row in range(20)
        for command in ("\\pi", "\\Omega")
    ]
    (folder / "symbols.jsonl").write_text("\n".join(lines) + "\n")
    captions = [f"\\pi ^ {{ {letter} }} + {n}" for letter in LETTERS for n in range(10)]
    (folder / "captions.txt").write_text("\n".join(captions) + "\n")
    (folder / "more.txt").write_text("\n".join(c.replace("+", "-") for c in captions) + "\n")
    config = IngestConfig.model_validate(
        {
            "synthetic": {"train": 30, "val": 12, "test": 5},
            "workers": 1,
            "vocabulary": "wide",
            "glyphs": GlyphsConfig(
                detexify=str(folder / "symbols.jsonl"), held_out=0.35, per_class=9
            ).model_dump(),
            "captions": [str(folder / name) for name in ("captions.txt", "more.txt")],
        }
    )
    ingest(config, folder / "out")
    return folder / "out"


def test_no_symbol_is_both_written_with_and_tested(lent: Path) -> None:
    bank = GlyphBank.load(lent / ISOLATED)
    tested = list(read_samples(lent / f"{TESTS[0]}.parquet"))
    assert {sample.tokens for sample in tested} == {("\\pi",), ("\\Omega",)}
    counts = json.loads((lent / "outer" / "summary.json").read_text())["glyphs"]["detexify"]
    assert len(bank) == counts["taken"] == 18
    assert len(tested) == counts["held out"]
    assert 40 - counts["held out"] == counts["taken"] + counts["beyond per_class"]


def test_tested_captions_are_never_written(lent: Path) -> None:
    composed = list(read_samples(lent / f"{TESTS[1]}.parquet"))
    assert len(composed) == 500
    assert all(sample.ink is not None and sample.writer for sample in composed)
    tested = {sample.tokens for sample in composed}
    kept = [tuple(tokens) for tokens in read_captions(lent / CAPTIONS)]
    assert 60 < len(kept) < 120
    assert not tested & {*kept}
    assert all("+" in tokens for tokens in tested)  # the first file's alone are tested
    assert any("-" in tokens for tokens in kept)
    leakage = Leakage.read(lent / HELD_OUT)
    assert not any(leakage.allows(tokens) for tokens in tested)


def test_no_tested_hand_is_upstream(lent: Path) -> None:
    rows = profile(lent, chosen_vocabulary("wide", "wap").tokens)
    found = overlap(rows, near=0.99)
    assert set(rows.rows["file"]) >= {"train", "val", *TESTS}
    assert not found["writer_leak"].any()


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
