import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from hmer.errors import ArchiveError, HmerError
from hmer.ingest.sources.base import Rejected, SourceItem, split_of
from hmer.ingest.sources.images import Images
from hmer.ink.blobs import picture_unit
from hmer.ink.deskew import skew
from tests.hmer.ingest.conftest import Draw, Found, Put, made


def given(**config: object) -> Found:
    return list(Images.model_validate(config).items(0))


def walk(**config: object) -> Found:
    return made(given(**config))[0]


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
    for image in made(found)[1].values():
        assert image[0].max() == 0
        assert picture_unit(image) == pytest.approx(16, rel=0.2)


def test_validation_set_of_ones_own(own: Path) -> None:
    found = walk(train=part(own), val=part(own), test_share=0)
    assert [item.split for item in found] == ["train"] * 4 + ["val"] * 4


def test_writing_askew_is_turned_level(tmp_path: Path, picture: Draw, put: Put) -> None:
    put(tmp_path, {"level.png": picture(8)})
    (tmp_path / "p").mkdir()
    with Image.open(tmp_path / "level.png") as level:
        level.rotate(-7, Image.Resampling.BICUBIC, expand=True).save(tmp_path / "p" / "a.png")
    (tmp_path / "c.csv").write_text("a.png,x\n")
    turned, left = (
        made(given(train=part(tmp_path, "p", "c.csv"), deskew=deskew))[1]["a"]
        for deskew in (True, False)
    )
    assert skew(left) == pytest.approx(7, abs=1)
    assert abs(skew(turned)) <= 1


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
    assert refused["gone.png"].endswith("captions.csv names it, but there is no such picture")
    assert "captions.csv: no line names this picture" in refused["nameless.png"]


NAMES = {  # by picture in the folder `imgset`: what a line may call it
    "a.png": [
        "imgset/a.png", "data/raw/imgset/a.png", "/home/ada/imgset/a.png", "/elsewhere/a.png",
        r"C:\Users\ada\imgset\a.png", r"imgset\a", "./a.PNG", "imgset//a.png",
    ],
    "B.PNG": ["B.png", "B", "imgset/B.png"],
    "2024/c.png": ["2024/c.png", "imgset/2024/c.png", "c", r"D:\imgset\2024\c.png"],
    unicodedata.normalize("NFD", "é.png"): [unicodedata.normalize("NFC", "é.png")],
    unicodedata.normalize("NFC", "ü.png"): [unicodedata.normalize("NFD", "ü")],
    "f.v2.png": ["f.v2", "imgset/f.v2.png"],
}  # fmt: skip


@pytest.mark.parametrize(("file", "line"), [(f, n) for f, names in NAMES.items() for n in names])
def test_pictures_are_found_by_many_names(
    tmp_path: Path, picture: Draw, put: Put, file: str, line: str
) -> None:
    put(tmp_path, {f"imgset/{file}": picture(3), "c.csv": f"file,latex\n{line},x\n".encode()})
    found = walk(train=part(tmp_path, "imgset", "c.csv"))
    assert [(i.file, i.latex) for i in found if isinstance(i, SourceItem)] == [
        (f"imgset/{file}", "x")
    ], found


def test_folders_tell_pictures_of_one_name_apart(tmp_path: Path, picture: Draw, put: Put) -> None:
    lines = {"/old/place/1/a.png": "x", "/old/place/2/a.png": "y", "/old/place/2/b.png": "z"}
    captions = "".join(f"{name},{latex}\n" for name, latex in lines.items()).encode()
    files = {f"now/{name}": picture(3) for name in ("1/a.png", "2/a.png", "2/b.png", "3/a.png")}
    put(tmp_path, files | {"c.csv": captions})
    found = walk(train=part(tmp_path, "now", "c.csv"))
    items = {i.file: i.latex for i in found if isinstance(i, SourceItem)}
    assert items == {"now/1/a.png": "x", "now/2/a.png": "y", "now/2/b.png": "z"}
    assert [i.file for i in found if isinstance(i, Rejected)] == ["now/3/a.png"]


@pytest.mark.parametrize("package", ["p.zip", "p.tar.gz"])
def test_a_package_may_have_several_folders(
    tmp_path: Path, picture: Draw, put: Put, package: str
) -> None:
    names = [f"{writer}/{n}.png" for writer in ("ada", "bob") for n in range(2)]
    put(tmp_path / package, dict.fromkeys(names, picture(3)))
    put(tmp_path, {"c.csv": "".join(f"{name},x\n" for name in names).encode()})
    found = walk(train=part(tmp_path, package, "c.csv"))
    items = [item for item in found if isinstance(item, SourceItem)]
    assert len({item.id for item in items}) == len({item.writer for item in items}) == 4


def test_names_that_fit_several_pictures_are_told(tmp_path: Path, picture: Draw, put: Put) -> None:
    put(tmp_path, {"n/1/a.png": picture(3), "n/2/a.png": picture(3), "c.csv": b"a.png,x\n"})
    first, second = walk(train=part(tmp_path, "n", "c.csv"))
    assert isinstance(first, SourceItem) and isinstance(second, Rejected)
    assert "its line names another picture of this name" in second.reason
    put(tmp_path, {"c.csv": b"p/n/a.png,x\nq/n/a.png,y\n", "one/n/a.png": picture(3)})
    found = walk(train=part(tmp_path, "one/n", "c.csv"))
    assert isinstance(found[0], Rejected) and "2 lines may name" in found[0].reason


def test_a_test_set_is_cut_by_writer_where_none_is_given(
    tmp_path: Path, picture: Draw, put: Put
) -> None:
    data = picture(3)
    files = {f"p/{n}.png": data for n in range(120)}
    lines = "".join(f"{n},x,w{n % 40}\n" for n in range(120))
    put(tmp_path, files | {"c.csv": b"file,latex,writer\n" + lines.encode()})

    def cut(**config: object) -> dict[str, str]:
        splits: dict[str, set[str]] = {}
        for item in given(train=part(tmp_path, "p", "c.csv"), **config):
            assert isinstance(item, SourceItem)
            splits.setdefault(item.writer, set()).add(str(item.split))
        assert all(len(found) == 1 for found in splits.values())
        return {writer: next(iter(found)) for writer, found in splits.items()}

    tenth, more = cut(), cut(test_share=0.3)
    own = {writer for writer, split in tenth.items() if split == "test-own"}
    assert 1 <= len(own) <= 9 and own < {w for w, s in more.items() if s == "test-own"}
    # Nobody is both in the test set and in the validation set that is cut at the other end.
    assert all(split_of(writer, 0.5) == "train" for writer in own)
    tests = {"x": part(tmp_path, "p", "c.csv")}
    found = given(train=part(tmp_path, "p", "c.csv"), tests=tests)
    assert "test-own" not in {item.split for item in found}


def test_a_picture_whose_line_is_of_no_use_is_refused_once(own: Path, put: Put) -> None:
    put(own, {"captions.csv": b"file,latex\na.png,f(x,y)\nb,\ngone,f(x,y)\nmore/a,z\nc,u\n"})
    refused = [item for item in walk(train=part(own)) if isinstance(item, Rejected)]
    assert [(item.id, item.reason.partition("captions.csv: ")[2][:9]) for item in refused] == [
        ("a.png", "line 2 ha"),
        ("b.jpg", "line 3 la"),
        ("gone", ""),
    ]
    assert refused[2].reason.startswith("gone: line 4 has 3 cells")


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
    (own / "empty.csv").write_text("file,latex\n")
    with pytest.raises(HmerError, match=r"ingest\.images\.train\.captions: .* holds no captions"):
        walk(train=part(own, captions="empty.csv"))
    with pytest.raises(ValidationError, match="pattern"):
        Images.model_validate({"tests": {"Not plain": part(own)}})


def test_total_limit_and_paths(own: Path) -> None:
    source = Images.model_validate({"train": part(own), "limit": 2})
    assert (source.total, len(list(source.items(0)))) == (2, 2)
    assert list(source.paths()) == [str(own / "pictures"), str(own / "captions.csv")]


def test_bombs_are_not_opened(own: Path) -> None:
    data = bytearray((own / "pictures" / "a.png").read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2  # sides in the header
    (own / "pictures" / "a.png").write_bytes(data)
    refused = [i for i in walk(train=part(own)) if isinstance(i, Rejected)]
    assert [i.id for i in refused] == ["a"]
    assert np.char.startswith(refused[0].reason, "pictures/a.png: ")
