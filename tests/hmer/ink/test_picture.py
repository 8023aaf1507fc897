import io
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hmer.errors import InkError
from hmer.ink.picture import load_picture, picture_unit, rescale_picture
from hmer.ink.render import render
from hmer.ink.strokes import Ink

UNIT = 40


def letters() -> Ink:
    angle = np.linspace(0, 2 * np.pi, 40)
    ring = np.stack([0.5 * np.cos(angle), 0.5 * np.sin(angle)], 1)
    strokes = [np.add(ring, [1.6 * n, 0]) for n in range(5)]
    strokes.append(np.array([[-0.5, 0.9], [7, 0.9]]))
    return Ink(tuple(stroke.astype(np.float32) for stroke in strokes))


DRAWN = render(letters(), UNIT, pen=0.12, margin=1.0).image
TRUE = DRAWN[UNIT - 3 : -(UNIT - 3), UNIT - 3 : -(UNIT - 3)]


def png(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.uint8(np.clip(np.rint(values), 0, 255)))


def lit() -> np.ndarray:
    """A photograph: uneven light, a dark desk's shade in one corner, noise."""
    height, width = DRAWN.shape
    light = np.linspace(235, 110, width)[None] * np.linspace(1, 0.75, height)[:, None]
    noise = np.random.default_rng(0).normal(0, 3, DRAWN.shape)
    return np.asarray(light * (1 - 0.7 * (DRAWN / 255)) + noise)


def transparent() -> Image.Image:
    image = np.zeros((*DRAWN.shape, 4), np.uint8)
    image[..., 3] = DRAWN  # black ink on nothing
    return Image.fromarray(image)


def coloured() -> Image.Image:
    share = DRAWN[..., None] / 255
    return Image.fromarray(
        np.uint8(share * [20, 40, 190] + (1 - share) * [250, 245, 200]), mode=None
    )


def sideways() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 8  # to be shown turned by 90 degrees anticlockwise
    return png(grey(255 - DRAWN).transpose(Image.Transpose.ROTATE_270), "PNG", exif=exif)


SOURCES: dict[str, Callable[[], bytes]] = {
    "white on black": lambda: png(grey(DRAWN)),
    "black on white": lambda: png(grey(255 - DRAWN)),
    "grey on grey": lambda: png(grey(150 - 80 * (DRAWN / 255))),
    "chalk": lambda: png(grey(60 + 120 * (DRAWN / 255))),
    "bilevel": lambda: png(grey(255 - DRAWN).convert("1")),
    "palette": lambda: png(coloured().quantize(16)),
    "colour": lambda: png(coloured()),
    "transparent": lambda: png(transparent()),
    "photograph": lambda: png(grey(lit()), "JPEG", quality=85),
    "sideways": sideways,
    "deep grey": lambda: png(Image.fromarray(np.uint16(65535 - DRAWN.astype(int) * 200))),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_of_picture_becomes_the_same_ink(kind: str) -> None:
    found = load_picture(SOURCES[kind]())
    assert found.dtype == np.uint8
    assert np.abs(np.subtract(found.shape, TRUE.shape)).max() <= 4
    # One pixel of tolerance in position: compare where there is ink within a pixel.
    size = tuple(max(a, b) for a, b in zip(found.shape, TRUE.shape, strict=True))
    one, other = (
        np.pad(i, [(0, s - n) for s, n in zip(size, i.shape, strict=True)]) > 127
        for i in (found, TRUE)
    )
    best = max(
        (np.roll(one, (r, c), (0, 1)) & other).sum() / (np.roll(one, (r, c), (0, 1)) | other).sum()
        for r in range(-3, 4)
        for c in range(-3, 4)
    )
    assert best > 0.8


def test_path_and_bytes_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(SOURCES["colour"]())
    for source in (path, str(path)):
        np.testing.assert_array_equal(load_picture(source), load_picture(path.read_bytes()))


def test_unit_is_near_the_one_it_was_drawn_at() -> None:
    assert picture_unit(TRUE) == pytest.approx(UNIT, rel=0.1)


@pytest.mark.parametrize("unit", [10, 20, 55.5])
def test_rescaled_to_the_unit_asked_for(unit: float) -> None:
    found = rescale_picture(TRUE, unit, margin=0.5)
    assert found.dtype == np.uint8
    assert found.shape[1] == pytest.approx((7.5 + 1) * unit, rel=0.12)
    border = round(unit * 0.5) - 1
    assert found[:border].max() == found[:, :border].max() == 0
    # Its size is now what a rendering at that unit has.
    rendered = render(letters(), unit, 0.12, 0.5).image
    assert found.shape[0] == pytest.approx(rendered.shape[0], rel=0.12)


def blank(value: int, noise: float = 0) -> bytes:
    return png(grey(np.random.default_rng(0).normal(value, noise, (80, 120))))


@pytest.mark.parametrize(
    "data",
    [blank(255), blank(0), blank(128), blank(200, 2.0), png(Image.new("RGBA", (9, 9)))],
)
def test_blank_pictures_have_no_ink(data: bytes) -> None:
    with pytest.raises(InkError, match="no ink found"):
        load_picture(data)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("not a picture")
    with pytest.raises(InkError, match=r"notes\.png.*PNG or JPEG"):
        load_picture(path)
    with pytest.raises(InkError, match="no such file"):
        load_picture(tmp_path / "missing.png")
    with pytest.raises(InkError):
        load_picture(tmp_path)
    with pytest.raises(InkError):
        load_picture(b"")
    with pytest.raises(InkError):
        load_picture(SOURCES["photograph"]()[:300])


def test_enormous_pictures_are_not_opened() -> None:
    data = bytearray(blank(255))
    data[16:24] = (60_000).to_bytes(4, "big") * 2  # sides in the header
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    with pytest.raises(InkError):
        load_picture(bytes(data))


def test_microscopic_writing_cannot_be_blown_up() -> None:
    dust = np.zeros((3000, 3000), np.uint8)
    dust[::100, ::100] = 255
    with pytest.raises(InkError, match="one expression"):
        rescale_picture(dust, 20)
    with pytest.raises(InkError):
        picture_unit(np.zeros((4, 4), np.uint8))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_damaged_files_give_ink_or_an_ink_error(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from([SMALL_PNG, SMALL_JPEG])))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = load_picture(bytes(whole[: data.draw(st.integers(1, len(whole)))]))
    except InkError:
        return
    assert found.ndim == 2


SMALL_PNG = png(grey(255 - DRAWN[::3, ::3]))
SMALL_JPEG = png(grey(255 - DRAWN[::3, ::3]), "JPEG")
