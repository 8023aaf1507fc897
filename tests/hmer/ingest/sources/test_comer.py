import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import ArchiveError, HmerError
from hmer.ingest.sources.base import Rejected, SourceItem
from hmer.ingest.sources.comer import Comer
from hmer.ink.blobs import picture_unit
from tests.hmer.ingest.conftest import Draw, Found, Put, made


def walk(path: Path, **config: object) -> Found:
    source = Comer.model_validate({"path": str(path), **config})
    return made(list(source.items(0)))[0]


def files(picture: Draw) -> dict[str, bytes]:
    return {
        "data/train/caption.txt": b"e1 x + 1\n200922-947-12\ty ^ { 2 }\n\ne3 z\n",
        "data/train/img/e1.bmp": picture(3, "BMP"),
        "data/train/img/200922-947-12.bmp": picture(4, "BMP", paper=255, ink=0),
        "data/train/img/e3.bmp": picture(5, "BMP"),
        "data/2014/caption.txt": b"t1 a\nt2.bmp b\n",
        "data/2014/img/t1.bmp": picture(2, "BMP"),
        "data/2014/img/t2.bmp": picture(2, "BMP"),
        "data/2014/notes.md": b"not read",
    }


@pytest.mark.parametrize("name", ["data", "data.zip", "data.tar.gz"])
def test_the_layout_of_comer(tmp_path: Path, picture: Draw, put: Put, name: str) -> None:
    found = walk(put(tmp_path / name, files(picture)))
    items = {item.id: item for item in found if isinstance(item, SourceItem)}
    assert len(found) == len(items) == 5
    assert {i.id: i.split for i in items.values()} == {
        "e1": None,
        "200922-947-12": None,
        "e3": None,
        "t1": "test-2014",
        "t2": "test-2014",
    }
    assert items["200922-947-12"].tokens == ("y", "^", "{", "2", "}")
    assert items["200922-947-12"].writer == "comer-947"
    assert items["e1"].source == "comer"
    for image in made(found)[1].values():
        assert picture_unit(image) == pytest.approx(16, rel=0.15)
        assert image[0].max() == 0  # ink on nothing, whatever the polarity was


def test_pictures_beside_the_captions_and_their_names(
    tmp_path: Path, picture: Draw, put: Put
) -> None:
    content = {
        "train/caption.txt": b"a x\nb.bmp y\n",
        "train/a_0.bmp": picture(3, "BMP"),  # as the WAP release names them
        "train/b.BMP": picture(3, "BMP"),
        "valid/caption.txt": b"v x\n",
        "valid/v.png": picture(3),
        "test/caption.txt": b"t x\n",
        "test/t.png": picture(3),
        "test_2019/caption.txt": b"t x\n",
        "test_2019/t.png": picture(3),
    }
    found = walk(put(tmp_path / "d", content))
    assert {(i.id, i.split) for i in found} == {
        ("a", "train"),  # not None: there is a validation set
        ("b", "train"),
        ("v", "val"),
        ("t", "test-comer"),
        ("t", "test-2019"),
    }


def test_respelled_captions_leave_the_tokens_to_the_dialect(
    tmp_path: Path, picture: Draw, put: Put
) -> None:
    path = put(tmp_path / "data.zip", files(picture))
    item = next(i for i in walk(path, respell=True) if i.id == "200922-947-12")
    assert isinstance(item, SourceItem)
    assert (item.tokens, item.latex) == (None, "y ^ { 2 }")


def test_everything_is_accounted_for(tmp_path: Path, picture: Draw, put: Put) -> None:
    content = files(picture) | {
        "data/train/caption.txt": b"e1 x\ne1 y\nempty\ngone x\nbroken x\nblank x\n",
        "data/train/img/broken.bmp": b"BM but not a picture",
        "data/train/img/blank.bmp": picture(0, "BMP", paper=9, ink=9),
        "data/train/img/e1.png": picture(2),
        "loose.png": picture(2),
    }
    found = walk(put(tmp_path / "data.zip", content))
    kept = {i.id for i in found if isinstance(i, SourceItem)}
    refused = sorted((i.id, i.reason) for i in found if isinstance(i, Rejected))
    assert kept == {"e1", "t1", "t2"}
    assert [name for name, _ in refused] == [
        "200922-947-12", "blank", "broken", "e1", "e1", "e3", "empty", "gone", "loose",
    ]  # fmt: skip
    reasons = dict(refused)
    assert "no line of a caption.txt names it" in reasons["e3"]
    assert reasons["broken"].startswith("data/train/img/broken.bmp: not a readable picture")
    assert "no ink found" in reasons["blank"]
    assert "has no tokens" in reasons["empty"]
    assert "there is no picture gone" in reasons["gone"]


def test_limit(tmp_path: Path, picture: Draw, put: Put) -> None:
    path = put(tmp_path / "data.zip", files(picture))
    source = Comer(path=str(path), limit=2)
    assert (source.total, len(list(source.items(0)))) == (2, 2)


def test_what_is_not_comer_is_told(tmp_path: Path, picture: Draw, put: Put) -> None:
    with pytest.raises(HmerError, match=r"holds no caption\.txt"):
        walk(put(tmp_path / "a.zip", {"train/img/x.bmp": picture(2)}))
    with pytest.raises(HmerError, match="pickle"):
        pickled = {"train/caption.txt": b"x y\n", "train/images.pkl": pickle.dumps({})}
        walk(put(tmp_path / "b.zip", pickled))
    with pytest.raises(HmerError, match="not UTF-8"):
        walk(put(tmp_path / "c.zip", {"train/caption.txt": b"x \xff\n"}))


@pytest.mark.parametrize("name", ["../train/caption.txt", "/train/caption.txt", "a/../../x.bmp"])
def test_packages_that_point_outside_are_refused(
    tmp_path: Path, picture: Draw, put: Put, name: str
) -> None:
    for package in ("p.zip", "p.tar.gz"):
        content = {**files(picture), name: b"e1 x\n"}
        with pytest.raises(ArchiveError, match="outside"):
            walk(put(tmp_path / package, content))


@given(st.text(max_size=60), st.binary(max_size=60))
def test_any_captions_and_any_pictures_end_somewhere(
    tmp_path_factory: pytest.TempPathFactory, text: str, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "train").mkdir()
    (folder / "train" / "caption.txt").write_text(f"a x\n{text}", "utf-8", newline="")
    (folder / "train" / "a.png").write_bytes(data)
    found = walk(folder)
    assert all(isinstance(item, Rejected) and item.reason for item in found)
