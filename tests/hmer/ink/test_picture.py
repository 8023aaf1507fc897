import io
import struct
import sys
import warnings
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from hmer.errors import InkError
from hmer.ink.fit import fit_picture
from hmer.ink.picture import BlankError, load_picture, written_pages
from hmer.ink.render import RenderConfig, render
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


def noisy(level: float, noise: float) -> np.ndarray:
    return np.random.default_rng(0).normal(level, noise, DRAWN.shape)


def isoluminant() -> Image.Image:
    share = DRAWN[..., None] / 255
    return Image.fromarray(np.uint8(share * [200, 0, 0] + (1 - share) * [0, 102, 0]))


def desk() -> bytes:
    picture = np.pad(235 - 190 * (DRAWN / 255), ((60, 90), (70, 40)), constant_values=40)
    return png(grey(picture + np.random.default_rng(0).normal(0, 3, picture.shape)))


def askew(degrees: float, expand: bool, around: int) -> bytes:
    """A page that is turned so, on a desk of this grey level."""
    page = grey(235 - 190 * (np.pad(DRAWN, 60) / 255))
    turned = page.rotate(degrees, Image.Resampling.BICUBIC, expand, fillcolor=around)
    return png(turned, "JPEG", quality=80)


def transparent(level: int = 0) -> Image.Image:
    image = np.full((*DRAWN.shape, 4), level, np.uint8)
    image[..., 3] = DRAWN  # ink of one colour on nothing
    return Image.fromarray(image)


def unused_alpha(level: int) -> Image.Image:
    """Ink in the colours, and the same in all of the fourth channel."""
    image = coloured()
    image.putalpha(level)
    return image


def bitmap(picture: Image.Image) -> bytes:
    """A BMP of 32 bits that says where its alpha is (BITMAPV4HEADER)."""
    pixels = np.asarray(picture.convert("RGBA"))[::-1, :, [2, 1, 0, 3]].tobytes()
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    size = (picture.width, picture.height, 1, 32, 3, len(pixels), 0, 0, 0, 0)
    header = struct.pack("<IiiHHIIiiII4I", 108, *size, *masks) + bytes(52)
    return struct.pack("<2sIII", b"BM", 122 + len(pixels), 0, 122) + header + pixels


def coloured() -> Image.Image:
    share = DRAWN[..., None] / 255
    return Image.fromarray(
        np.uint8(share * [20, 40, 190] + (1 - share) * [250, 245, 200]), mode=None
    )


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 8  # to be shown turned by 90 degrees anticlockwise
    return exif


def sideways(kind: str = "PNG") -> bytes:
    return png(grey(255 - DRAWN).transpose(Image.Transpose.ROTATE_270), kind, exif=turned())


def pdf(*pages: Image.Image) -> bytes:
    """Rendered at 300 dpi, each page has the pixels of its image."""
    pytest.importorskip("pypdfium2", reason="the extra pdf is not installed")
    more = list(pages[1:])
    return png(pages[0], "PDF", resolution=300, save_all=True, append_images=more)


def heic(image: Image.Image, **options: object) -> bytes:
    plugin = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    plugin.register_heif_opener()
    return png(image, "HEIF", quality=90, **options)


def boxed() -> Image.Image:
    page = grey(255 - np.pad(DRAWN, 20))
    ImageDraw.Draw(page).rectangle((6, 6, page.width - 7, page.height - 7), outline=0, width=3)
    return page


def photo(ink: np.ndarray, light: np.ndarray | float = 1.0, noise: float = 3) -> bytes:
    """Of ink of this contrast (H, W; 0 to 1) on paper in this light, in JPEG."""
    grain = np.random.default_rng(0).normal(0, noise, ink.shape)
    return png(grey(240 * light * (1 - ink) + grain), "JPEG", quality=80)


def tones(low: float) -> np.ndarray:
    """Every second letter in full, the others and the line paler."""
    columns = np.arange(DRAWN.shape[1]) // round(1.6 * UNIT) % 2 == 0
    rows = np.arange(DRAWN.shape[0]) < UNIT * 2.2
    return DRAWN / 255 * np.where(columns & rows[:, None], 0.85, 0.85 * low)


def band(left: float, right: float) -> np.ndarray:
    """1 between two shares of the width, with sharp edges askew."""
    height, width = DRAWN.shape
    x = np.arange(width) - 0.2 * np.arange(height)[:, None]
    return np.asarray((x > left * width) & (x < right * width), float)


def holes() -> np.ndarray:
    ink = np.pad(DRAWN / 255 * 0.85, ((0, 200), (120, 0)))
    y, x = np.indices(ink.shape)
    for row in (70, 250):
        ink[np.hypot(y - row, x - 60) < 27] = 0.9
    return ink


def reverse() -> np.ndarray:
    ink = np.pad(DRAWN / 255 * 0.85, ((0, 150), (0, 0)))
    return np.asarray(np.maximum(ink, 0.15 * np.roll(ink[:, ::-1], (110, 30), (0, 1))))


SOURCES: dict[str, Callable[[], bytes]] = {
    "white on black": lambda: png(grey(DRAWN)),
    "black on white": lambda: png(grey(255 - DRAWN)),
    "grey on grey": lambda: png(grey(150 - 80 * (DRAWN / 255))),
    "chalk": lambda: png(grey(60 + 120 * (DRAWN / 255))),
    "bilevel": lambda: png(grey(255 - DRAWN).convert("1")),
    "dithered": lambda: png(
        grey(np.linspace(235, 190, DRAWN.shape[1]) * (1 - 0.9 * (DRAWN / 255))).convert("1")
    ),
    "palette": lambda: png(coloured().quantize(16)),
    "colour": lambda: png(coloured()),
    "transparent": lambda: png(transparent()),
    "alpha that is not used, BMP": lambda: bitmap(unused_alpha(0)),
    "alpha that is not used": lambda: png(unused_alpha(0)),
    "alpha from 0 to 1": lambda: png(unused_alpha(1)),
    "alpha from 0 to 1, transparent": lambda: png(
        Image.fromarray(np.uint8(np.asarray(transparent()) // np.array([1, 1, 1, 255])))
    ),
    "photograph": lambda: png(grey(lit()), "JPEG", quality=85),
    "sideways": sideways,
    "white on transparent": lambda: png(transparent(255)),
    "equal lightness": lambda: png(isoluminant()),
    "near-white paper": lambda: png(grey(noisy(252, 3) - 200 * (DRAWN / 255)), "JPEG", quality=85),
    "near-black paper": lambda: png(grey(noisy(4, 3) + 200 * (DRAWN / 255))),
    "on a dark desk": desk,
    "dark block on a bright page": lambda: png(
        grey(np.pad(30 + 190 * (DRAWN / 255), 120, constant_values=250))
    ),
    "in a box": lambda: png(boxed()),
    "pencil beside pen": lambda: photo(tones(0.4)),
    "a pen that fades": lambda: photo(DRAWN / 255 * np.linspace(0.9, 0.25, DRAWN.shape[1])),
    "shadow with sharp edges": lambda: photo(DRAWN / 255 * 0.85, 1 - 0.5 * band(0.4, 2)),
    "marker": lambda: photo(DRAWN / 255 * 0.85, 1 - 0.3 * band(0.3, 0.7)),
    "punch holes": lambda: photo(holes()),
    "writing on the reverse side": lambda: photo(reverse()),
    "LAB": lambda: png(
        Image.merge("LAB", [grey(255 - DRAWN)] + [grey(0 * DRAWN + 128)] * 2), "TIFF"
    ),
    "turned TIFF": lambda: sideways("TIFF"),
    "second page": lambda: png(
        Image.new("L", DRAWN.shape[::-1], 255),
        "TIFF",
        save_all=True,
        append_images=[grey(255 - DRAWN)],
    ),
    "deep grey": lambda: png(Image.fromarray(np.uint16(65535 - DRAWN.astype(int) * 200))),
    "AVIF": lambda: png(coloured(), "AVIF"),
    "PDF": lambda: pdf(grey(255 - DRAWN)),
    "HEIC": lambda: heic(grey(255 - DRAWN)),
    "HEIC, sideways": lambda: heic(
        grey(255 - DRAWN).transpose(Image.Transpose.ROTATE_270), exif=turned().tobytes()
    ),
}


@pytest.mark.filterwarnings("ignore:picture. picture 2 of 2")
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


@pytest.mark.parametrize("expand", [True, False])
@pytest.mark.parametrize("degrees", [-9, -5, -3, -1.5, 1, 2, 4, 8])
def test_nothing_is_left_of_a_desk_around_a_page_that_lies_askew(
    degrees: float, expand: bool
) -> None:
    found, alone = (load_picture(askew(degrees, expand, level)) for level in (50, 235))
    assert np.abs(np.subtract(found.shape, alone.shape)).max() <= 4
    assert (found > 127).sum() == pytest.approx((alone > 127).sum(), rel=0.05)


BARS = {
    "border": np.full(5, 20.0),
    "edge": np.full(20, 30.0),
    "line beside the edge": np.array([255.0] * 3 + [20.0] * 6),
    "grey": np.full(14, 120.0),
    "shadow": np.linspace(40, 250, 30),
}


@pytest.mark.parametrize("side", [0, 1, 3])
@pytest.mark.parametrize("bar", BARS)
def test_a_bar_along_a_whole_side_is_not_written(bar: str, side: int) -> None:
    turned = np.rot90(255 - np.pad(TRUE, 6), side)[9 * (bar == "edge") :]  # or they touch
    edge = np.broadcast_to(BARS[bar][:, None], (len(BARS[bar]), turned.shape[1]))
    found = load_picture(png(grey(np.rot90(np.concatenate([edge, turned]), -side))))
    assert np.abs(np.subtract(found.shape, TRUE.shape)).max() <= 4 + 6 * (bar == "edge")


@pytest.mark.parametrize("name", ["T", "equals", "overline"])
def test_bars_that_are_written_along_a_side_stay(name: str) -> None:
    drawn = np.full((60, 50), 255.0)
    if name == "T":
        drawn[:6], drawn[:, 22:28] = 0, 0
    elif name == "equals":
        drawn[20:26, :], drawn[54:] = 0, 0
        drawn = drawn[20:]
    else:
        drawn[2:8, 4:-4], drawn[20:, 10:16], drawn[-6:, 10:40] = 0, 0, 0
    found = load_picture(png(grey(drawn)))
    assert np.abs(np.subtract(found.shape, np.ptp(np.argwhere(drawn < 99), axis=0))).max() <= 4


def test_symbols_in_the_corners_of_a_close_cut_are_written() -> None:
    triangle = np.array([[-2, 0.5], [-1.4, -0.5], [-0.9, 0.5], [-2, 0.5]], np.float32)
    letter = np.array([[8, 0.5], [8.1, -0.5], [8.9, 0.5], [9, -0.5]], np.float32)
    drawn = render(Ink((triangle, *letters().strokes[:5], letter)), UNIT, 0.12, 0.0).image
    roomy, close = (load_picture(png(grey(255 - np.pad(drawn, room)))) for room in (9, 0))
    assert (close > 127).sum() == pytest.approx((roomy > 127).sum(), rel=0.05)


@pytest.mark.parametrize(("count", "kept"), [(1, True), (4, True), (40, False)])
def test_a_few_dots_are_written_and_many_are_dirt(count: int, kept: bool) -> None:
    page = 255 - np.pad(DRAWN, ((0, 80), (0, 0)))
    pen = round(0.12 * UNIT)
    places = np.linspace(10, page.shape[1] - 20, count).astype(int)
    for place in places:
        page[-20 : -20 + pen, place : place + pen] = 0
    low = load_picture(Image.fromarray(page)).shape[0]
    assert (low > TRUE.shape[0] + 20) == kept


def test_blank_paper_around_it_changes_nothing() -> None:
    ink = grey(255 - DRAWN)
    around = grey(255 - np.pad(DRAWN, ((900, 1100), (500, 700))))
    (one,), (other,) = written_pages(ink), written_pages(around)
    np.testing.assert_allclose(one.image.astype(int), other.image, atol=3)
    assert (other.left - one.left, other.top - one.top) == (500, 900)


def test_path_and_bytes_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(SOURCES["colour"]())
    for source in (path, str(path)):
        np.testing.assert_array_equal(load_picture(source), load_picture(path.read_bytes()))


def blank(value: int, noise: float = 0) -> bytes:
    return png(grey(np.random.default_rng(0).normal(value, noise, (80, 120))))


@pytest.mark.parametrize(
    "data",
    [
        *(blank(255), blank(0), blank(128), blank(200, 2.0), png(Image.new("RGBA", (9, 9)))),
        *(png(Image.new("RGBA", (9, 9), (200, 9, 9, level))) for level in (0, 1, 255)),
        *(blank(255, 2.0), blank(250, 6.0), blank(3, 3.0), png(Image.new("P", (1, 1)))),
    ],
)
def test_blank_pictures_have_no_ink(data: bytes) -> None:
    with pytest.raises(BlankError, match="no ink found"):
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


def test_frames_of_many_pixels_are_not_all_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    clear = Image.new("L", DRAWN.shape[::-1], 255)
    data = png(clear, "TIFF", save_all=True, append_images=[clear, grey(255 - DRAWN)])
    for frames in (3, 2):
        monkeypatch.setattr("hmer.ink.raster.MAX_SOURCE_PIXELS", frames * DRAWN.size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert len(list(written_pages(data))) == frames - 2


def test_further_pages_are_told() -> None:
    data = SOURCES["second page"]()
    with pytest.warns(UserWarning, match="picture 2 of 2 in the file is read"):
        load_picture(data)


def test_pages_of_a_document_and_where_their_ink_is() -> None:
    first, blank = grey(255 - DRAWN), Image.new("L", DRAWN.shape[::-1], 255)
    moved = grey(255 - np.pad(DRAWN, ((100, 50), (200, 0))))
    found = list(written_pages(pdf(first, blank, moved), "a.pdf"))
    assert [(one.page, one.pages, one.document) for one in found] == [(1, 3, True), (3, 3, True)]
    for one, (left, top) in zip(found, [(0, 0), (200, 100)], strict=True):
        assert one.scale == pytest.approx(72 / 300, rel=0.02)  # points a pixel
        assert (one.left - left, one.top - top) == pytest.approx((UNIT, UNIT), abs=4)
    shrunk = png(moved.resize((moved.width * 8, moved.height * 8)))
    (one,) = written_pages(shrunk)
    place = one.left * one.scale, one.top * one.scale
    assert place == pytest.approx(((200 + UNIT) * 8, (100 + UNIT) * 8), abs=40)


@pytest.mark.parametrize(
    ("package", "extra", "data"),
    [("pypdfium2", "pdf", b"%PDF-1.7\n"), ("pillow_heif", "heic", b"\0\0\0\x18ftypheic\0\0\0\0")],
)
def test_formats_of_extras_are_named_with_their_extra(
    package: str, extra: str, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, package, None)
        with pytest.raises(InkError, match=rf"a\.png: .*pip install 'hmer\[{extra}\]'"):
            load_picture(tmp_path / "a.png")
    pytest.importorskip(package)
    with pytest.raises(InkError, match=r"a\.png: not a readable picture") as caught:
        load_picture(tmp_path / "a.png")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(45, 1101), (1101, 45), (9, 240), (1, 900)])
def test_strips_are_pictures_too(shape: tuple[int, int]) -> None:
    image = np.full(shape, 255, np.uint8)
    image[shape[0] // 3 : -(-shape[0] // 2), shape[1] // 3 : shape[1] // 2] = 0
    assert load_picture(png(Image.fromarray(image))).min() >= 0


@pytest.mark.parametrize("side", [0, 1])
def test_what_stands_on_a_long_strip_stays_as_large(side: int) -> None:
    page = np.pad(255 - TRUE, ((9, 9), (6000, 9000)), constant_values=255)
    found = load_picture(png(grey(page if side else page.T)))
    assert np.abs(np.subtract(found.shape, TRUE.shape[:: 1 if side else -1])).max() <= 4


def test_images_and_arrays_are_pictures() -> None:
    expected = load_picture(SOURCES["black on white"]())
    dark = 255 - DRAWN
    for source in (
        Image.fromarray(dark), dark, DRAWN.astype(np.float32) / 255, dark.astype(np.int32) * 257,
        np.stack([dark] * 3, axis=2), np.stack([dark * 0] * 3 + [DRAWN], axis=2), dark[..., None],
        transparent(),
    ):  # fmt: skip
        found = load_picture(source)
        assert np.abs(np.subtract(found.shape, expected.shape)).max() <= 1
        assert found.mean() == pytest.approx(expected.mean(), rel=0.1)
    # What is ink on nothing already is not touched.
    assert np.array_equal(load_picture(expected), expected)


@given(st.data())
def test_damaged_files_give_ink_or_an_ink_error(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from(SMALL)))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    reads_or_refuses(bytes(whole[: data.draw(st.integers(1, len(whole)))]))


@given(st.binary(max_size=300))
def test_any_bytes_give_ink_or_an_ink_error(data: bytes) -> None:
    reads_or_refuses(data)


@given(st.data())
def test_any_array_gives_ink_or_an_ink_error(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.sampled_from([0, 1, 2, 3, 4, 9, 50, 150]), max_size=3))
    kind = data.draw(st.sampled_from(["u1", "?", "i2", "u2", "i8", "f2", "f4", "f8", "c8", "U3"]))
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    values = rng.normal(0, 1e5, shape) * data.draw(st.sampled_from([0, 1e-6, 1, np.nan, np.inf]))
    with np.errstate(all="ignore"):
        reads_or_refuses(np.asarray(np.nan_to_num(values) if kind[0] in "iu?" else values, kind))


def reads_or_refuses(source: bytes | np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            found = load_picture(source)
            fitted = fit_picture(found, RenderConfig())
        except InkError:
            return
    assert found.ndim == fitted.ndim == 2


SMALL = [
    *(png(grey(255 - DRAWN[::3, ::3]), kind) for kind in ("PNG", "JPEG", "TIFF", "GIF", "WEBP")),
    png(Image.fromarray(np.uint16(255 - DRAWN[::3, ::3]) * 257)),
    png(coloured().resize((80, 30)), "TIFF", compression="tiff_lzw"),
    *([pdf(grey(255 - DRAWN[::3, ::3]))] if find_spec("pypdfium2") else []),
    *([heic(grey(255 - DRAWN[::3, ::3]))] if find_spec("pillow_heif") else []),
]
