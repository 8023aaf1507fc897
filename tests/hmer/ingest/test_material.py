from __future__ import annotations

from pathlib import Path

import pytest

from hmer.errors import HmerError
from hmer.ingest.material import read_material
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.strokes import Ink
from hmer.synthesis.base import HELD_OUT, Leakage
from hmer.synthesis.generators import Generators, GeneratorsConfig
from hmer.synthesis.ink_index import Material
from hmer.synthesis.output import to_inkml
from hmer.synthesis.render_latex import write_latex
from tests.samples import read_samples, write_samples


def test_a_data_set(small_dataset: Path) -> None:
    for path in (small_dataset, small_dataset / "train.parquet"):
        found = read_material(path)
        assert len(found) == 24
        assert [list(t) for t in found.tokens] == [
            list(s.tokens) for s in read_samples(small_dataset / "train.parquet")
        ]
        assert found.held_out is not None and len(found.held_out.held) >= 6
        assert len(found.bank()) > 100
        assert Material.of(found).skipped == 0


def test_inkml(tmp_path: Path, small_dataset: Path) -> None:
    folder = tmp_path / "ink"
    folder.mkdir()
    for number, latex in enumerate(("a+b", r"\frac{x}{2}", "x^2-1")):
        data = to_inkml(write_latex(latex, number), f"hand-{number}")
        (folder / f"{number}.inkml").write_bytes(data)
    (folder / "torn.inkml").write_bytes(data[: len(data) // 2])
    bare = write_latex("c+d", 1).ink
    (folder / "plain.inkml").write_bytes(write_inkml(InkDocument(Ink(bare.strokes), "c+d")))
    wrong = to_inkml(write_latex("e+f", 1), "ann").replace(b'"truth">e<', b'"truth">g<')
    (folder / "wrong.inkml").write_bytes(wrong)
    found = read_material(folder)
    assert len(found) == 5
    assert found.held_out is None
    material = Material.of(found)
    assert len(material) == 3, "not those without trace groups, or with others than the label"
    assert material.skipped == 2
    assert len(found.bank()) == 9
    generators = Generators(GeneratorsConfig(), found, found.bank, Leakage())
    assert generators.skipped == 2
    known = read_material(folder, held_out=small_dataset / HELD_OUT)
    assert known.held_out is not None and known.held_out.held


def test_ink_without_any_trace_group_gives_no_glyphs(tmp_path: Path) -> None:
    ink = write_latex("a+b", 0).ink
    (tmp_path / "a.inkml").write_bytes(write_inkml(InkDocument(Ink(ink.strokes), "a+b")))
    found = read_material(tmp_path)
    with pytest.raises(HmerError, match="glyph bank is empty"):
        found.bank()
    with pytest.raises(HmerError, match="nothing to decompose"):
        Generators(GeneratorsConfig(), found, found.bank, Leakage())


def test_missing_material_is_told(small_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(HmerError, match="evaluation would be on training data"):
        read_material(small_dataset / "val.parquet")
    with pytest.raises(HmerError, match="no such data set split"):
        read_material(tmp_path / "train.parquet")
    with pytest.raises(HmerError, match="does not exist"):
        read_material(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(HmerError, match="none of 0 InkML files"):
        read_material(tmp_path / "empty")
    samples = list(read_samples(small_dataset / "train.parquet"))
    write_samples(tmp_path / "train.parquet", samples)
    with pytest.raises(HmerError, match="does not say which captions are held out"):
        read_material(tmp_path / "train.parquet")
    found = read_material(tmp_path / "train.parquet", held_out=small_dataset / HELD_OUT)
    assert len(found) == 24


def test_pictures_alone_are_no_material(picture_dataset: Path, small_dataset: Path) -> None:
    with pytest.raises(HmerError, match="no expression has ink"):
        read_material(picture_dataset, held_out=small_dataset / HELD_OUT)
