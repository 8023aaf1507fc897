from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from pydantic import ValidationError

from hmer.data.schema import read_samples, write_samples
from hmer.errors import HmerError
from hmer.ingest.ingest import IngestConfig, ingest_source
from hmer.ingest.sources.base import SourceItem
from hmer.ingest.sources.mixture import MixedSource
from hmer.ingest.sources.synthesised import WrittenConfig, WrittenSource, read_material
from hmer.ingest.sources.synthetic import SyntheticConfig, SyntheticSource
from hmer.ink.codec import unpack
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.render import RenderConfig
from hmer.ink.strokes import Ink
from hmer.latex.alignment import stroke_places
from hmer.synthesis.base import HELD_OUT, Leakage
from hmer.synthesis.generators import Generators, GeneratorsConfig
from hmer.synthesis.ink_index import Material
from hmer.synthesis.output import to_inkml
from hmer.synthesis.render_latex import write_latex


def test_a_data_set(small_dataset: Path) -> None:
    for path in (small_dataset, small_dataset / "train.parquet"):
        found = read_material(path)
        assert len(found) == 24 and found.refused == 0
        assert [list(t) for t in found.tokens] == [
            list(s.tokens) for s in read_samples(small_dataset / "train.parquet")
        ]
        assert found.held_out is not None and len(found.held_out) >= 6
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
    assert len(found) == 5 and found.refused == 1
    assert found.held_out is None
    material = Material.of(found)
    assert len(material) == 3, "not those without trace groups, or with others than the label"
    assert material.skipped == 2
    assert len(found.bank()) == 9
    generators = Generators.of(GeneratorsConfig(), found, found.bank, Leakage())
    assert generators.skipped == 2
    known = read_material(folder, held_out=small_dataset / HELD_OUT)
    assert known.held_out is not None and len(known.held_out)


def test_ink_without_any_trace_group_gives_no_glyphs(tmp_path: Path) -> None:
    ink = write_latex("a+b", 0).ink
    (tmp_path / "a.inkml").write_bytes(write_inkml(InkDocument(Ink(ink.strokes), "a+b")))
    found = read_material(tmp_path)
    with pytest.raises(HmerError, match="glyph bank is empty"):
        found.bank()
    with pytest.raises(HmerError, match="nothing to decompose"):
        Generators.of(GeneratorsConfig(), found, found.bank, Leakage())


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


def source(folder: Path, **changes: object) -> WrittenSource:
    given = {"path": str(folder / "train.parquet"), "count": 30, "real": "nothing"} | changes
    return WrittenSource(WrittenConfig.model_validate(given))


def walk(found: WrittenSource, seed: int = 0, most: int | None = None) -> list[SourceItem]:
    return list(islice(found.items(seed), most))


def test_by_seed_and_number(small_dataset: Path) -> None:
    items = walk(source(small_dataset))
    assert [item.id for item in items] == [f"written-0-{n:07d}" for n in range(30)]
    assert {item.split for item in items} == {"train"}
    longer = walk(source(small_dataset, count=50), most=30)
    assert [item.latex for item in longer] == [item.latex for item in items]
    assert [item.latex for item in walk(source(small_dataset), 1)] != [i.latex for i in items]
    kinds = Counter(item.source for item in items)
    assert set(kinds) == {"written-decompose", "written-recombine", "written-compose"}
    writers = {s.writer for s in read_samples(small_dataset / "train.parquet")}
    assert {item.writer for item in items} <= writers
    for item in items:
        assert item.ink is not None and item.tokens is not None
        assert stroke_places(item.ink, item.tokens) is not None


def test_through_ingest_with_the_real_sets_held_out(small_dataset: Path, tmp_path: Path) -> None:
    made = source(small_dataset, real="held-out")
    config = IngestConfig(workers=1, render=RenderConfig(unit=10))
    summary = ingest_source(made, config, tmp_path / "one")
    assert summary.quarantined == 0
    sizes = {name: split.samples for name, split in summary.splits.items()}
    assert sizes == {"train": 30, "val": 6, "test-synthetic": 6}
    assert summary.splits["val"].labels_in_train <= short(small_dataset / "val.parquet")
    for split in ("val", "test-synthetic"):
        before = list(read_samples(small_dataset / f"{split}.parquet"))
        assert list(read_samples(tmp_path / "one" / f"{split}.parquet")) == before
    for sample in read_samples(tmp_path / "one" / "train.parquet"):
        assert sample.ink is not None and sample.symbol_boxes is not None
        ink = unpack(sample.ink)
        assert [box.token for box in sample.symbol_boxes] == [s.token for s in ink.symbols]
        assert stroke_places(ink, sample.tokens) is not None
    ingest_source(source(small_dataset, real="held-out"), config, tmp_path / "two")
    for path in filter(Path.is_file, (tmp_path / "one").rglob("*")):
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes()


def short(path: Path) -> int:
    return sum(len(sample.tokens) <= 3 for sample in read_samples(path))


def test_all_of_it_with_the_real_training_data(small_dataset: Path, tmp_path: Path) -> None:
    made = source(small_dataset, real="all", count=5)
    assert made.total is None and source(small_dataset).total == 30
    summary = ingest_source(made, IngestConfig(workers=1), tmp_path / "all")
    sources = summary.splits["train"].by_source
    assert sources["synthetic"] == 24 and sum(sources.values()) == 29


def test_in_a_mixture(small_dataset: Path, tmp_path: Path) -> None:
    fresh = SyntheticSource(SyntheticConfig(train=4, val=3, test=2))
    mixed = MixedSource([(fresh, 1), (source(small_dataset, count=12), 0.5)])
    summary = ingest_source(mixed, IngestConfig(workers=1), tmp_path / "mixed")
    written = sum(
        count
        for name, count in summary.splits["train"].by_source.items()
        if name.startswith("written-")
    )
    assert 0 < written < 12
    assert written + summary.left_out["written"] == 12
    assert set(mixed.excluded) == {
        *(f"written/{name}" for name in ("decompose", "recombine", "compose")),
        "synthetic/val",
        "synthetic/test-synthetic",
    }


def test_captions_held_out_are_counted(small_dataset: Path, tmp_path: Path) -> None:
    free = source(small_dataset, count=60)
    captions = [item.latex.split() for item in walk(free)]
    long = {" ".join(caption) for caption in captions if len(caption) > 3}
    Leakage.of(captions).write(tmp_path / HELD_OUT)
    kept = source(small_dataset, count=60, held_out=str(tmp_path / HELD_OUT))
    assert list(kept.config.paths()) == [kept.config.path, kept.config.held_out]
    assert not {item.latex for item in walk(kept)} & long
    assert min(kept.excluded[name] for name in ("decompose", "recombine", "compose")) > 0
    assert kept.skipped == 0 and kept.from_font == {}


def test_mistakes_are_told(small_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(HmerError, match="no such data set split"):
        walk(source(tmp_path, real="held-out"))
    with pytest.raises(HmerError, match="all of it training data"):
        walk(source(tmp_path, path=str(tmp_path), real="all"))
    with pytest.raises(HmerError, match="evaluation would be on training data"):
        walk(source(small_dataset, path=str(small_dataset / "val.parquet")))
    other = WrittenSource(source(small_dataset).config, "comer")
    with pytest.raises(HmerError, match="in the dialect 'wap'; set"):
        walk(other)
    with pytest.raises(ValidationError, match="held-out"):
        WrittenConfig.model_validate({"real": "some"})
    nothing = GeneratorsConfig(decompose=0).model_dump()
    with pytest.raises(HmerError, match="all 0"):
        walk(source(small_dataset, generators=nothing))
