import os
import pickle
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from hmer.errors import ArchiveError, HmerError
from hmer.ingest.sources.base import Rejected, SourceItem
from hmer.ingest.sources.crohme import Crohme
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink

STROKE = np.array([[0, 0], [3, 4]], np.float32)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for name, writer, latex in (
        ("Train/MathBrush/200922-947-12", None, "$x$"),
        ("Train/MathBrush/200922-947-13", None, "y"),
        ("Train/MathBrush/200922-948-12", None, "y"),
        ("Train/HAMEX/e1", "ada", "x^2"),
        ("Train/extension/form003-equation016", None, "z"),
        ("Train/other/alone", None, "z"),
        ("Train/other/unlabelled", "ada", ""),
        ("Test/t1", "bob", "a"),
        ("Test/t2", "bob", "\\broken{"),
    ):
        path = tmp_path / f"{name}.inkml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(write_inkml(InkDocument(Ink((STROKE,)), latex, writer)))
    (tmp_path / "Train/other/broken.inkml").write_bytes(b"<ink><trace>")
    return tmp_path


def walk(**config: object) -> list[SourceItem | Rejected]:
    source = Crohme.model_validate(config)
    return [pickle.loads(pickle.dumps(task))() for task in source.items(0)]


def test_files_become_items(raw: Path) -> None:
    found = walk(train=str(raw / "Train"), tests={"2014": str(raw / "Test")})
    items = {item.id: item for item in found if isinstance(item, SourceItem)}
    refused = {item.id: item.reason for item in found if isinstance(item, Rejected)}
    assert {i.id: i.writer for i in items.values()} == {
        "200922-947-12": "MathBrush-947",
        "200922-947-13": "MathBrush-947",
        "200922-948-12": "MathBrush-948",
        "e1": "ada",
        "form003-equation016": "extension-form003",
        "alone": "other/alone",
        "t1": "bob",
        "t2": "bob",
    }
    assert items["e1"].source == "HAMEX"
    assert items["e1"].split is None
    assert (items["t1"].source, items["t1"].split) == ("Test", "test-2014")
    assert items["e1"].latex == "x^2"
    assert not items["e1"].normalised
    assert "truth" in refused["unlabelled"]
    assert "well-formed" in refused["broken"]


def test_package_gives_what_the_folder_gives(raw: Path) -> None:
    with tarfile.open(raw / "train.tar.xz", "w:xz") as package:
        package.add(raw / "Train", "Train")
    folder, packed = walk(train=str(raw / "Train")), walk(train=str(raw / "train.tar.xz"))
    assert {(i.id, i.file) for i in folder} == {(i.id, i.file) for i in packed}
    config = Crohme(train=str(raw / "Train"), limit=5)
    assert (config.total, len(walk(**config.model_dump()))) == (5, 5)
    assert Crohme(train=str(raw / "train.tar.xz")).total is None


def test_limit_spreads_over_all_files(raw: Path) -> None:
    ids = [item.id for item in walk(train=str(raw / "Train"))]
    assert len(ids) == 8
    assert [item.id for item in walk(train=str(raw / "Train"), limit=4)] == ids[1::2]
    assert [item.id for item in walk(train=str(raw / "Train"), limit=99)] == ids


def test_missing_paths_are_told_before_anything_is_read(raw: Path) -> None:
    source = Crohme(train=str(raw / "Train"), tests={"x": "nowhere.zip"})
    with pytest.raises(ArchiveError, match=r"ingest\.crohme\.tests\.x: nowhere\.zip does not"):
        next(source.items(0))
    source = Crohme(train=str(raw / "nowhere"))
    with pytest.raises(ArchiveError, match=r"ingest\.crohme\.train: "):
        next(source.items(0))


def test_captions_override_truths(raw: Path) -> None:
    (raw / "test.txt").write_text("t2\t\\frac { 1 } { 2 }\nt9\tx\n")
    config = {
        "train": str(raw / "Train"),
        "tests": {"2014": str(raw / "Test")},
        "captions": {"2014": str(raw / "test.txt")},
    }
    tokens = {i.id: i.tokens for i in walk(**config) if isinstance(i, SourceItem)}
    assert tokens["t2"] == ("\\frac", "{", "1", "}", "{", "2", "}")
    assert tokens["t1"] is tokens["e1"] is None
    (raw / "test.txt").write_text("t2\tx\nt1 y\n")
    with pytest.raises(HmerError, match=r"captions\.2014: .*line 2"):
        walk(**config)
    (raw / "test.txt").write_text("t2\tx\nt2.inkml\ty\n")
    with pytest.raises(HmerError, match=r"captions\.2014: .*t2\.inkml is named twice"):
        walk(**config)
    (raw / "test.txt").unlink()
    with pytest.raises(HmerError, match=r"captions\.2014: .*cannot be read"):
        walk(**config)


@pytest.mark.parametrize(
    "config",
    [
        {"tests": {"../x": "a"}},
        {"tests": {"train": "a"}},
        {"tests": {"A b": "a"}},
        {"captions": {"2014": "a"}},
        {"limit": 0},
        {"trian": "a"},
    ],
)
def test_wrong_settings_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Crohme.model_validate(config)


@pytest.mark.crohme
@pytest.mark.skipif("CROHME_DIR" not in os.environ, reason="CROHME_DIR names no CROHME packages")
def test_the_real_data() -> None:
    folder = Path(os.environ["CROHME_DIR"])
    found = walk(
        train=str(folder / "train.tar.xz"),
        tests={"2014": str(folder / "test2014.tar.xz")},
        limit=400,
    )
    items = [item for item in found if isinstance(item, SourceItem)]
    assert len(found) == 800
    assert len(items) >= 798
    # Whatever the tablet, single letters and digits come out at one size.
    heights: dict[str, list[float]] = {}
    for item in items:
        assert item.ink is not None
        ink = normalise(item.ink)
        for symbol in ink.symbols:
            if len(symbol.token) == 1 and symbol.token.isalnum():
                points = np.concatenate([ink.strokes[i] for i in symbol.strokes])
                heights.setdefault(item.source, []).append(float(np.ptp(points[:, 1])))
    for source, values in heights.items():
        if len(values) > 50:
            assert 0.95 < np.median(values) < 1.3, source
            assert np.quantile(values, 0.05) > 0.4, source
            assert np.quantile(values, 0.95) < 2.8, source
    assert len(Counter(item.source for item in items)) == 7
