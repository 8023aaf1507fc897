import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from hmer.errors import ArchiveError, HmerError
from hmer.ingest.sources.base import Rejected, SourceItem
from hmer.ingest.sources.mathwriting import MathWriting

Put = Callable[..., Path]

NOTES = """<annotation type="label">{0}</annotation>
<annotation type="splitTagOriginal">train</annotation>"""
NORMALIZED = '<annotation type="normalizedLabel">{0}</annotation>'
INK = """<ink xmlns="http://www.w3.org/2003/InkML">
<traceFormat><channel name="X" type="decimal"/><channel name="Y" type="decimal"/>
<channel name="T" type="decimal"/></traceFormat>
{notes}
<trace id="0">1.5 2.25 0.0,3 9 16.7,4 2 33.0</trace><trace id="1">0 5 90,6 5 120</trace></ink>"""


def inkml(latex: str = "x^{2}", shown: str = "x^2") -> bytes:
    notes = NOTES.format(shown) + (NORMALIZED.format(latex) if latex else "")
    return INK.format(notes=notes).encode()


FILES = {
    "mathwriting-2024/train/00a1.inkml": inkml(),
    "mathwriting-2024/train/00b2.inkml": inkml("", "y^2"),
    "mathwriting-2024/train/00c3.inkml": inkml("", ""),
    "mathwriting-2024/train/00d4.inkml": inkml()[:150],
    "mathwriting-2024/valid/01.inkml": inkml("a"),
    "mathwriting-2024/test/02.inkml": inkml("b"),
    "mathwriting-2024/symbols/03.inkml": inkml("c"),
    "mathwriting-2024/synthetic/04.inkml": inkml("d"),
    "mathwriting-2024/readme.md": b"",
}


def walk(path: Path, **config: object) -> list[SourceItem | Rejected]:
    source = MathWriting.model_validate({"path": str(path), **config})
    return [pickle.loads(pickle.dumps(task))() for task in source.items(0)]


@pytest.mark.parametrize("name", ["raw", "raw.tgz", "raw.zip"])
def test_files_become_items(tmp_path: Path, put: Put, name: str) -> None:
    found = walk(put(tmp_path / name, FILES))
    items = {item.id: item for item in found if isinstance(item, SourceItem)}
    assert {i.id: (i.latex, i.split) for i in items.values()} == {
        "00a1": ("x^{2}", "train"),
        "00b2": ("y^2", "train"),  # without a normalised label the one shown
        "01": ("a", "val"),
        "02": ("b", "test-mathwriting"),
    }
    ink = items["00a1"].ink
    assert ink is not None  # x and y only, whatever the third channel
    assert [stroke.tolist() for stroke in ink.strokes] == [
        [[1.5, 2.25], [3, 9], [4, 2]],
        [[0, 5], [6, 5]],
    ]
    assert len({item.writer for item in items.values()}) == 4
    refused = {i.id: i.reason for i in found if isinstance(i, Rejected)}
    assert refused.keys() == {"00c3", "00d4"}
    assert refused["00c3"].startswith("00c3.inkml: there is no label: no annotation of type truth")
    assert "00d4.inkml: not well-formed XML" in refused["00d4"]


def test_extra_parts_and_shares(tmp_path: Path, put: Put) -> None:
    path = put(tmp_path / "raw", FILES)
    found = walk(path, extra=["symbols", "synthetic"])
    extra = {i.id: (i.source, i.split) for i in found if isinstance(i, SourceItem)}
    assert extra["03"] == ("mathwriting-symbols", "train")
    assert extra["04"] == ("mathwriting-synthetic", "train")
    many = put(tmp_path / "many", {f"train/{n:04x}.inkml": inkml() for n in range(300)})
    small, large = ({i.id for i in walk(many, share=share)} for share in (0.2, 0.5))
    assert small < large
    assert 30 < len(small) < 90 and 110 < len(large) < 190
    with pytest.raises(ValidationError):
        MathWriting.model_validate({"extra": ["test"]})


def test_wrong_paths_are_told(tmp_path: Path, put: Put) -> None:
    with pytest.raises(ArchiveError, match=r"ingest\.mathwriting\.path"):
        walk(tmp_path / "gone.tgz")
    with pytest.raises(HmerError, match="none of the folders train, valid, test"):
        walk(put(tmp_path / "raw", {"other/1.inkml": inkml()}))
    with pytest.raises(ArchiveError, match="outside"):
        walk(put(tmp_path / "evil.tgz", {"../train/1.inkml": inkml()}))
