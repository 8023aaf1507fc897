import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from hmer.data.batches import PlannedBatch
from hmer.data.dataset import load_expressions
from hmer.data.schema import read_quarantine
from hmer.data.supervised import SupervisedMaker
from hmer.errors import HmerError
from hmer.ingest.glyphs import GlyphsConfig
from hmer.ingest.ingest import IngestConfig, ingest, ingest_source
from hmer.ingest.sources.base import Rejected, Source, SourceItem, Task
from hmer.ingest.sources.crohme import Crohme
from hmer.ink.augment import AugmentConfig
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.strokes import Ink, Symbol
from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.synthesis.base import CAPTIONS, ISOLATED, OUTER, read_captions
from hmer.synthesis.glyphs.bank import GlyphBank
from tests.samples import read_samples

CONFIG = IngestConfig(val_share=0.3, workers=1)


@dataclass(frozen=True)
class Draw:
    number: int
    seed: int

    @property
    def key(self) -> str:
        return str(self.number)

    @property
    def split(self) -> str | None:
        return "test-a" if self.number % 5 == 0 else None

    def __call__(self) -> SourceItem:
        rng = np.random.default_rng([self.seed, self.number])
        strokes = tuple(np.add(rng.random((6, 2)), [2 * n, 0], dtype=np.float32) for n in range(3))
        return SourceItem(
            id=f"n{self.number // 2 if self.number in (6, 7) else self.number}",
            source="drawn",
            writer=f"w{self.number % 9}",
            latex="x^2" if self.number % 4 else "\\aleph",
            split=self.split,
            ink=Ink(strokes),
            normalised=True,
        )


class Drawings(Source):
    name = "drawings"

    count: int
    fail: bool = False
    tasks: bool = True  # worker processes cannot import this file, and so not run its tasks

    @property
    def total(self) -> int:
        return self.count

    def items(self, seed: int) -> Iterator[SourceItem | Rejected | Task]:
        for number in range(self.count):
            if number == 3:
                yield Rejected("r3", "f/r3", "torn")
            else:
                yield Draw(number, seed) if self.tasks else Draw(number, seed)()
        if self.fail:
            raise HmerError("the source broke")


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_every_item_is_accounted_for(tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    out = tmp_path / "deep" / "dataset"
    summary = ingest_source(Drawings(count=60), CONFIG, out, lambda *call: calls.append(call))
    assert sorted(path.name for path in out.iterdir()) == [
        "held_out.json",
        "label_noise.parquet",
        "outer",
        "quarantine.parquet",
        "summary.json",
        "test-a.parquet",
        "train.parquet",
        "val.parquet",
        "vocabulary.json",
    ]
    samples = {s: list(read_samples(out / f"{s}.parquet")) for s in ("train", "val", "test-a")}
    refused = list(read_quarantine(out / "quarantine.parquet"))
    assert sum(map(len, samples.values())) + len(refused) == 60
    # Numbers divisible by 4 have an unknown token (15), number 3 is torn, and 6 and 7 share an id.
    assert len(refused) == 17
    assert sum("aleph" in entry.reason for entry in refused) == 15
    assert [entry.id for entry in refused if "already" in entry.reason] == ["n3"]
    assert all(s.split == name for name, found in samples.items() for s in found)
    writers = {name: {s.writer for s in found} for name, found in samples.items()}
    assert not writers["train"] & writers["val"]
    assert calls[-1] == (60, 60)

    assert json.loads((out / "summary.json").read_text()) == summary.model_dump()
    assert {k: v.samples for k, v in summary.splits.items()} == {
        k: len(v) for k, v in samples.items()
    }
    assert summary.quarantined == 17
    assert Vocabulary.from_json((out / "vocabulary.json").read_text()) == vocabulary("wap")


@dataclass(frozen=True)
class Mixed(Draw):
    def __call__(self) -> SourceItem:
        long = self.number % 2
        return replace(super().__call__(), id=str(self.number), latex="x^2+1" if long else "x^2")


class LongAndShort(Drawings):
    def items(self, seed: int) -> Iterator[SourceItem | Rejected | Task]:
        for number in range(self.count):
            yield Mixed(number, seed)()


def test_long_expressions_are_left_out_of_training_but_not_of_tests(tmp_path: Path) -> None:
    whole = ingest_source(LongAndShort(count=80), CONFIG, tmp_path / "whole")
    short = CONFIG.model_copy(update={"longest": 5})  # x ^ { 2 } are five tokens
    summary = ingest_source(LongAndShort(count=80), short, tmp_path / "short")
    for name in ("train", "val", "test-a"):
        before, after = (
            {s.id: s.tokens for s in read_samples(tmp_path / folder / f"{name}.parquet")}
            for folder in ("whole", "short")
        )
        assert {len(tokens) for tokens in before.values()} == {5, 7}
        kept = before if name == "test-a" else {i: t for i, t in before.items() if len(t) <= 5}
        assert after == kept
    counts = {key: made.splits for key, made in (("whole", whole), ("short", summary))}
    lost = sum(counts["whole"][n].samples - counts["short"][n].samples for n in ("train", "val"))
    assert summary.too_long == lost > 0 and whole.too_long == 0


def test_workers_and_repetition_change_no_byte(tmp_path: Path) -> None:
    ingest_source(Drawings(count=80), CONFIG, tmp_path / "a")
    two = CONFIG.model_copy(update={"workers": 2})
    ingest_source(Drawings(count=80, tasks=False), two, tmp_path / "b")
    ingest_source(Drawings(count=80), CONFIG.model_copy(update={"seed": 1}), tmp_path / "c")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a")["train.parquet"] != contents(tmp_path / "c")["train.parquet"]


def test_failure_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    with pytest.raises(HmerError, match="broke"):
        ingest_source(Drawings(count=30, fail=True), CONFIG, out)
    assert list(tmp_path.iterdir()) == []
    ingest_source(Drawings(count=30), CONFIG, out)
    before = contents(out)
    with pytest.raises(HmerError, match="broke"):
        ingest_source(Drawings(count=40, fail=True), CONFIG, out)
    assert contents(out) == before
    assert list(tmp_path.iterdir()) == [out]
    ingest_source(Drawings(count=40), CONFIG, out)
    assert contents(out) != before
    assert list(tmp_path.iterdir()) == [out]


def test_foreign_folders_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(HmerError, match="not a dataset"):
        ingest_source(Drawings(count=30), CONFIG, tmp_path)
    with pytest.raises(HmerError, match="is a file"):
        ingest_source(Drawings(count=30), CONFIG, tmp_path / "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_empty_splits_are_told(tmp_path: Path) -> None:
    with pytest.raises(HmerError, match=r"drawings: nothing was found in .*check the source"):
        ingest_source(Drawings(count=0), CONFIG, tmp_path / "a")
    with pytest.raises(HmerError, match="raise val_share"):
        ingest_source(
            Drawings(count=3), CONFIG.model_copy(update={"val_share": 1e-6}), tmp_path / "a"
        )
    nothing_held_back = CONFIG.model_copy(update={"val_share": 0.0})
    summary = ingest_source(Drawings(count=3), nothing_held_back, tmp_path / "a")
    assert summary.splits["val"].samples == 0
    assert list(read_samples(tmp_path / "a" / "val.parquet")) == []


def test_what_was_refused_is_kept_where_nothing_is_left(tmp_path: Path) -> None:
    pictures = tmp_path / "raw" / "p"
    pictures.mkdir(parents=True)
    lines = [f"{n}.png;\\Omega + {'D' if n % 3 else 'K'}" for n in range(9)]
    lines += ["gone.png;x", "lost.png;x"]
    for n in range(10):
        Image.fromarray(np.eye(40, dtype=np.uint8) * 255).save(pictures / f"{n}.png")
    (tmp_path / "raw" / "c.csv").write_text("\n".join(lines))
    train = {"images": str(pictures), "captions": str(tmp_path / "raw" / "c.csv")}
    config = IngestConfig.model_validate(
        {"source": "images", "images": {"train": train}, "workers": 1}
    )
    kept = tmp_path / "quarantine.parquet"
    with pytest.raises(HmerError) as caught:
        ingest(config, tmp_path / "out", refused=kept)
    told = str(caught.value)
    assert "\n" not in told
    assert "no training data is left. 12 expressions were refused: 9 as: the vocabulary" in told
    assert "2 as: gone.png: a line of c.csv names it, but there is no such picture" in told
    assert "1 as: p/9.png: c.csv: no line names this picture" in told
    assert "\\Omega (9), D (6), K (3); ingest.vocabulary 'mathwriting' has them" in told
    assert "check the source's path" not in told and "another dialect" not in told
    assert told.endswith(f"All of them are in {kept}")
    assert len(list(read_quarantine(kept))) == 12
    assert not (tmp_path / "out").exists()
    # It is of the last ingestion, and goes with the next one that succeeds.
    (tmp_path / "raw" / "c.csv").write_text("\n".join(f"{n},x" for n in range(10)))
    ingest(config.model_copy(update={"val_share": 0.0}), tmp_path / "out", refused=kept)
    assert not kept.exists()


def test_crohme_folder_from_end_to_end(tmp_path: Path) -> None:
    strokes = (np.array([[10, 10], [40, 70]], np.float32), np.array([[40, 10], [10, 70]]))
    ink = Ink(strokes, (Symbol("x", (0, 1)),))
    for number in range(40):
        path = tmp_path / "raw" / "set" / f"{number}.inkml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(write_inkml(InkDocument(ink, "$x$", writer=f"w{number % 20}")))
    (tmp_path / "raw" / "set" / "empty.inkml").write_bytes(b"")
    crohme = Crohme(
        train=str(tmp_path / "raw"), tests={"x": str(tmp_path / "raw" / "set")}, limit=30
    )
    config = IngestConfig(source="crohme", crohme=crohme, val_share=0.3, workers=1)
    summary = ingest(config, tmp_path / "out")
    counts = {name: split.samples for name, split in summary.splits.items()}
    assert counts["train"] + counts["val"] + summary.quarantined / 2 == 30
    assert counts["test-x"] + summary.quarantined / 2 == 30
    assert summary.splits["test-x"].by_source == {"set": counts["test-x"]}


def test_files_of_one_name_are_all_kept_unless_their_ink_is_the_same(tmp_path: Path) -> None:
    for folder, far in (("ada", 70), ("bob", 80), ("copy", 80)):
        ink = Ink((np.array([[10, 10], [40, far]], np.float32), np.array([[40, 10], [10, 70]])))
        (tmp_path / "raw" / folder).mkdir(parents=True)
        document = InkDocument(ink, "$x$", writer="w")
        (tmp_path / "raw" / folder / "1.inkml").write_bytes(write_inkml(document))
    crohme = Crohme(train=str(tmp_path / "raw"))
    config = IngestConfig(source="crohme", crohme=crohme, val_share=0, workers=1)
    summary = ingest(config, tmp_path / "out")
    found = [row.id for row in read_samples(tmp_path / "out" / "train.parquet")]
    assert found == ["1", "raw/bob/1.inkml"]
    (refused,) = read_quarantine(tmp_path / "out" / "quarantine.parquet")
    assert refused.reason == "raw/copy/1.inkml: train already has it; keep one of them"
    assert summary.quarantined == 1


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_no_text(
    tmp_path: Path, picture: Callable[..., bytes], put: Callable[..., Path]
) -> None:
    put(tmp_path / "i", {f"{n}.png": picture(3) for n in range(4)})
    (tmp_path / "i" / os.fsdecode(b"\xff.png")).write_bytes(picture(3))
    captions = [*({"file": f"{n}.png", "latex": "x"} for n in range(4)), {"\udc80": "\ud800"}]
    (tmp_path / "c.json").write_text(json.dumps(captions))
    own = {"images": str(tmp_path / "i"), "captions": str(tmp_path / "c.json")}
    config = IngestConfig.model_validate(
        {"source": "images", "images": {"train": own}, "val_share": 0, "workers": 1}
    )
    assert ingest(config, tmp_path / "out").quarantined == 2


def test_synthetic_is_the_default(tmp_path: Path) -> None:
    config = IngestConfig.model_validate(
        {"synthetic": {"train": 20, "val": 5, "test": 5}, "workers": 1}
    )
    summary = ingest(config, tmp_path / "out")
    assert {name: split.samples for name, split in summary.splits.items()} == {
        "train": 20,
        "val": 5,
        "test-synthetic": 5,
    }


def test_pictures_go_all_the_way_to_a_training_batch(
    tmp_path: Path, picture: Callable[..., bytes], put: Callable[..., Path]
) -> None:
    names = [f"p{n}" for n in range(24)]
    captions = "\n".join(f"{name} x + {n % 9}" for n, name in enumerate(names)).encode()
    files = {f"train/img/{name}.bmp": picture(2 + n % 4, "BMP") for n, name in enumerate(names)}
    put(tmp_path / "data.zip", files | {"train/caption.txt": captions})
    config = IngestConfig.model_validate(
        {
            "source": "comer",
            "comer": {"path": str(tmp_path / "data.zip")},
            "val_share": 0.3,
            "workers": 1,
            "render": {"unit": 16},
        }
    )
    assert config.paths() == [str(tmp_path / "data.zip")]
    summary = ingest(config, tmp_path / "out")
    assert sum(split.samples for split in summary.splits.values()) == 24
    rows = list(read_samples(tmp_path / "out" / "train.parquet"))
    assert all((row.strokes, row.ink, row.symbol_boxes) == (0, None, None) for row in rows)

    expressions = load_expressions(tmp_path / "out" / "train.parquet")
    sizes = expressions.sizes
    plan = PlannedBatch(np.arange(4), np.ones(4), int(sizes[:, 0].max()), int(sizes[:, 1].max()))
    maker = SupervisedMaker(expressions, vocabulary("wap"), config.render, AugmentConfig(), 8)
    batch = maker(plan, np.random.default_rng(0))
    assert batch.images.shape[0] == 4 and batch.images.max() > 0.5  # thin lines, distorted
    assert all(batch.images[row].sum() > 0 for row in range(4))


def mixed(tmp_path: Path, put: Callable[..., Path], picture: Callable[..., bytes]) -> IngestConfig:
    captions = "\n".join(f"{n}.png,x" for n in range(20)).encode()
    put(tmp_path / "own", {f"i/{n}.png": picture(3) for n in range(20)} | {"c.csv": captions})
    own = {"images": str(tmp_path / "own" / "i"), "captions": str(tmp_path / "own" / "c.csv")}
    return IngestConfig.model_validate(
        {
            "source": "mixed",
            "mixed": {"images": 1.0, "synthetic": 0.5},
            "images": {"train": own, "test_share": 0},
            "synthetic": {"train": 60, "val": 5, "test": 5},
            "val_share": 0.2,
            "workers": 1,
        }
    )


def test_sources_are_mixed_by_their_weights(
    tmp_path: Path, picture: Callable[..., bytes], put: Callable[..., Path]
) -> None:
    config = mixed(tmp_path, put, picture)
    assert [Path(path).name for path in config.paths()] == ["i", "c.csv"]
    summary = ingest(config, tmp_path / "out")
    train, val = summary.splits["train"].by_source, summary.splits["val"].by_source
    assert train["images"] + val["images"] == 20
    assert train["synthetic"] + summary.left_out["synthetic"] == 60
    assert 10 < train["synthetic"] < 50
    assert val["synthetic"] == summary.splits["test-synthetic"].samples == 5
    ids = {s.id for name in summary.splits for s in read_samples(tmp_path / f"out/{name}.parquet")}
    assert len(ids) == sum(split.samples for split in summary.splits.values())
    assert {name.split("/")[0] for name in ids} == {"images", "synthetic"}
    again = ingest(config.model_copy(update={"workers": 2}), tmp_path / "again")
    assert again == summary
    assert contents(tmp_path / "out") == contents(tmp_path / "again")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"source": "crhome"},
            "choose one of crohme, comer, images, mathwriting, synthetic, mixed",
        ),
        ({"source": "mixed"}, "names no source"),
        ({"mixed": {"crhome": 1}}, "'crhome' is none of"),
        ({"mixed": {"crohme": 0}}, "above 0"),
        ({"mixed": {"crohme": 1.5}}, "at most 1"),
    ],
)
def test_unknown_sources_and_weights_are_told(change: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        IngestConfig.model_validate(change)


def test_contradicting_annotations_are_listed_and_kept(tmp_path: Path) -> None:
    strokes = (np.array([[10, 10], [40, 70]], np.float32), np.array([[90, 10], [10, 70]]))
    for number in range(20):
        # Every fourth file calls its one symbol what the caption does not have.
        ink = Ink(strokes, (Symbol("y" if number % 4 == 0 else "x", (0, 1)),))
        (tmp_path / "raw").mkdir(exist_ok=True)
        document = InkDocument(ink, "$x$", writer=f"w{number}")
        (tmp_path / "raw" / f"{number}.inkml").write_bytes(write_inkml(document))
    config = IngestConfig(
        source="crohme", crohme=Crohme(train=str(tmp_path / "raw")), val_share=0.3, workers=1
    )
    summary = ingest(config, tmp_path / "out")
    noise = list(read_quarantine(tmp_path / "out" / "label_noise.parquet"))
    assert sorted(int(entry.id) for entry in noise) == [0, 4, 8, 12, 16]
    assert sum(split.label_noise for split in summary.splits.values()) == 5
    assert sum(split.samples for split in summary.splits.values()) == 20


def crohme_file(path: Path, writer: str, latex: str, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stroke = np.random.default_rng(seed).random((5, 2)).astype(np.float32) * 50
    path.write_bytes(write_inkml(InkDocument(Ink((stroke,)), latex, writer)))


@pytest.fixture
def competition(tmp_path: Path) -> Path:
    """Training data, a test set, a set to halve, and more data with ink and captions of both."""
    for n in range(12):
        crohme_file(tmp_path / f"train/t{n}.inkml", f"trainer{n}", f"x + {n}", n)
        crohme_file(tmp_path / f"other/o{n}.inkml", f"other{n}", f"y - {n}", 100 + n)
    crohme_file(tmp_path / "test/e.inkml", "examinee", "z = 1", 50)
    crohme_file(tmp_path / "more/again.inkml", "trainer3", "x + 3", 3)
    crohme_file(tmp_path / "more/t4.inkml", "newcomer", "a b", 200)
    crohme_file(tmp_path / "more/leak.inkml", "newcomer", "z = 1", 201)
    return tmp_path


def crohme(folder: Path, **further: str) -> IngestConfig:
    return IngestConfig(
        source="crohme",
        workers=1,
        val_share=0.2,
        crohme=Crohme(
            train=str(folder / "train"),
            tests={"2014": str(folder / "test")},
            development={"2013": str(folder / "other")},
            further={name: str(folder / path) for name, path in further.items()},
        ),
    )


def test_a_development_set_takes_half_of_the_writers(competition: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = ingest(crohme(competition), out)
    dev = list(read_samples(out / "dev-2013.parquet"))
    assert 2 <= len(dev) <= 10
    assert summary.excluded == {"other half of a development set": 12 - len(dev)}
    both = ingest(crohme(competition, **{"2013": "other"}), out)
    assert both.splits["dev-2013"] == summary.splits["dev-2013"]
    added = [
        s
        for split in ("train", "val")
        for s in read_samples(out / f"{split}.parquet")
        if s.source == "crohme-2013"
    ]
    assert len(added) == 12 - len(dev)
    assert not {s.writer for s in dev} & {s.writer for s in added}
    assert all(s.id.startswith("2013/o") for s in added)


def test_further_data_bring_no_ink_twice_and_no_test_caption(
    competition: Path, tmp_path: Path
) -> None:
    summary = ingest(crohme(competition, more="more"), tmp_path / "out")
    assert summary.excluded["further ink that is there already"] == 1
    assert summary.excluded["further captions of a development or test set"] == 1
    kept = [
        s.id
        for split in ("train", "val")
        for s in read_samples(tmp_path / "out" / f"{split}.parquet")
        if s.source == "crohme-more"
    ]
    assert kept == ["more/t4"]  # t4 of the training data is another file


def test_a_development_set_of_trainers_is_refused(competition: Path, tmp_path: Path) -> None:
    for n in range(12):
        crohme_file(competition / f"other/w{n}.inkml", f"trainer{n}", "b", 300 + n)
    with pytest.raises(HmerError, match=r"writers of dev-2013 also wrote training data"):
        ingest(crohme(competition), tmp_path / "out")
    for n in range(12):
        crohme_file(competition / f"other/w{n}.inkml", f"stranger{n}", f"x + {n}", n)
    with pytest.raises(HmerError, match=r"dev-2013: w\d+ is the ink of t\d+, which is trained on"):
        ingest(crohme(competition), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_name_has_one_path() -> None:
    with pytest.raises(ValidationError, match="one path in development and another in further"):
        Crohme(development={"2013": "a"}, further={"2013": "b"})


def test_other_collections_lend_symbols_and_captions(tmp_path: Path) -> None:
    ingest_source(Drawings(count=40), CONFIG, tmp_path / "plain")
    assert [file.name for file in (tmp_path / "plain" / OUTER).iterdir()] == ["summary.json"]
    symbols, captions = tmp_path / "samples.jsonl", tmp_path / "captions.txt"
    symbols.write_text(json.dumps({"command": "\\pi", "strokes": [[[0, 0], [9, 9]]]}) + "\n")
    captions.write_text("a^2\n\\aleph\n")
    config = CONFIG.model_copy(
        update={"glyphs": GlyphsConfig(detexify=str(symbols)), "captions": [str(captions)]}
    )
    out = tmp_path / "richer"
    ingest_source(Drawings(count=40), config, out)
    assert GlyphBank.load(out / ISOLATED).count() == {"\\pi": 1}
    assert read_captions(out / CAPTIONS) == [["a", "^", "{", "2", "}"]]
    counts = json.loads((out / OUTER / "summary.json").read_text())
    assert counts["glyphs"]["detexify"]["taken"] == counts["captions"]["captions.txt"]["taken"] == 1
    assert config.paths()[-2:] == [str(symbols), str(captions)]


def test_a_wider_vocabulary_takes_what_crohme_lacks(tmp_path: Path) -> None:
    narrow = ingest_source(Drawings(count=40), CONFIG, tmp_path / "narrow")
    assert narrow.unknown_tokens == {"\\aleph": 10}
    config = IngestConfig(val_share=0.3, workers=1, vocabulary="wide")
    assert config.dialect == "plain"
    wide = ingest_source(Drawings(count=40), config, tmp_path / "wide")
    assert not wide.unknown_tokens
    words = Vocabulary.from_json((tmp_path / "wide" / "vocabulary.json").read_text())
    assert (words.name, "\\aleph" in words) == ("plain", True)


def test_a_vocabulary_of_what_the_captions_use(tmp_path: Path) -> None:
    config = IngestConfig(val_share=0.3, workers=1, vocabulary="captions", least=11)
    summary = ingest_source(Drawings(count=40), config, tmp_path / "used")
    words = Vocabulary.from_json((tmp_path / "used" / "vocabulary.json").read_text())
    assert words.tokens == ("2", "^", "_", "x", "{", "}")
    assert summary.unknown_tokens == {"\\aleph": 10}
