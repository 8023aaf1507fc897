import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from hmer.data.sources.base import Rejected, Setting, SourceItem
from hmer.data.sources.images import ImagesConfig
from hmer.errors import ArchiveError, HmerError
from hmer.ink.blobs import picture_unit
from hmer.ink.deskew import skew
from hmer.ink.render import RenderConfig

Draw = Callable[..., bytes]
Put = Callable[..., Path]


def walk(**config: object) -> list[SourceItem | Rejected]:
    source = ImagesConfig.model_validate(config).open(Setting("wap", RenderConfig(unit=16)))
    return [
        task if isinstance(task, Rejected) else pickle.loads(pickle.dumps(task))()
        for task in source.items(0)
    ]


@pytest.fixture
def own(tmp_path: Path, picture: Draw, put: Put) -> Path:
    return put(
        tmp_path,
        {
            "pictures/a.png": picture(3),
            "pictures/b.jpg": picture(6, "JPEG", paper=230, ink=40),
            "pictures/more/a.png": picture(4),
            "pictures/more/c.gif": picture(4, "GIF"),
            "captions.csv": b"file,latex,writer\na.png,x,ada\nb,y^2,ada\nmore/a.png,z,\nc.gif,u,\n",
            "test.zip.txt": b"t.png\tv\n",
        },
    )


def part(root: Path, images: str = "pictures", captions: str = "captions.csv") -> dict[str, str]:
    return {"images": str(root / images), "captions": str(root / captions)}


def test_pictures_become_items(own: Path, picture: Draw, put: Put) -> None:
    put(own / "test.zip", {"t.png": picture(3)})
    tests = {"own": part(own, "test.zip", "test.zip.txt")}
    found = walk(train=part(own), tests=tests)
    items = {item.id: item for item in found if isinstance(item, SourceItem)}
    assert len(items) == len(found)
    assert {i.id: (i.latex, i.writer, i.split) for i in items.values()} == {
        "a": ("x", "ada", None),
        "b": ("y^2", "ada", None),
        "more/a": ("z", "images/more/a", None),
        "more/c": ("u", "images/more/c", None),
        "t": ("v", "images/t", "test-own"),
    }
    for item in items.values():
        assert item.image is not None and item.image[0].max() == 0
        assert picture_unit(item.image) == pytest.approx(16, rel=0.2)


def test_validation_set_of_ones_own(own: Path) -> None:
    found = walk(train=part(own), val=part(own))
    assert [item.split for item in found] == ["train"] * 4 + ["val"] * 4


def test_writing_askew_is_turned_level(tmp_path: Path, picture: Draw, put: Put) -> None:
    put(tmp_path, {"level.png": picture(8)})
    (tmp_path / "p").mkdir()
    with Image.open(tmp_path / "level.png") as level:
        level.rotate(-7, Image.Resampling.BICUBIC, expand=True).save(tmp_path / "p" / "a.png")
    (tmp_path / "c.csv").write_text("a.png,x\n")
    turned, left = (
        walk(train=part(tmp_path, "p", "c.csv"), deskew=deskew)[0] for deskew in (True, False)
    )
    assert isinstance(turned, SourceItem) and isinstance(left, SourceItem)
    assert turned.image is not None and left.image is not None
    assert skew(left.image) == pytest.approx(7, abs=1)
    assert abs(skew(turned.image)) <= 1


def test_everything_is_accounted_for(own: Path, put: Put) -> None:
    put(
        own,
        {
            "pictures/text.png": b"not a picture",
            "pictures/nameless.png": b"",
            "captions.csv": b"file,latex\na.png,x\na.png,y\n./b.jpg,y\n"
            b"text.png,z\ngone.png,z\n,w\n",
        },
    )
    found = walk(train=part(own))
    assert {i.id for i in found if isinstance(i, SourceItem)} == {"a", "b"}
    refused = {i.id: i.reason for i in found if isinstance(i, Rejected)}
    assert set(refused) == {
        "a.png", "captions.csv", "text", "nameless.png", "gone.png", "more/a.png", "more/c.gif",
    }  # fmt: skip
    assert "a.png is named again" in refused["a.png"]
    assert refused["text"].startswith("pictures/text.png: not a readable picture")
    assert "there is no picture gone.png" in refused["gone.png"]


def test_captions_never_open_a_file(own: Path, put: Put) -> None:
    (own / "secret.png").write_bytes((own / "pictures" / "a.png").read_bytes())
    put(own, {"captions.csv": b"../secret.png,x\n/etc/passwd,y\n"})
    found = walk(train=part(own))
    assert all(isinstance(item, Rejected) for item in found)


def test_paths_are_checked_before_anything_is_read(own: Path) -> None:
    with pytest.raises(ArchiveError, match=r"ingest\.images\.tests\.x\.images: .* does not exist"):
        walk(train=part(own), tests={"x": part(own, "gone")})
    with pytest.raises(HmerError, match=r"ingest\.images\.val\.captions: .* cannot be read"):
        walk(train=part(own), val=part(own, captions="gone.csv"))
    with pytest.raises(ValidationError, match="pattern"):
        ImagesConfig.model_validate({"tests": {"Not plain": part(own)}})


def test_total_limit_and_paths(own: Path) -> None:
    config = ImagesConfig.model_validate({"train": part(own), "limit": 2})
    source = config.open(Setting("wap", RenderConfig()))
    assert (source.total, len(list(source.items(0)))) == (2, 2)
    assert list(config.paths()) == [str(own / "pictures"), str(own / "captions.csv")]


def test_bombs_are_not_opened(own: Path) -> None:
    data = bytearray((own / "pictures" / "a.png").read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2  # sides in the header
    (own / "pictures" / "a.png").write_bytes(data)
    refused = [i for i in walk(train=part(own)) if isinstance(i, Rejected)]
    assert [i.id for i in refused] == ["a"]
    assert np.char.startswith(refused[0].reason, "pictures/a.png: ")
