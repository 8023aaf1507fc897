"""Picture files, Pillow images and arrays as upright pictures without transparency.

PDF and HEIC need the packages of the extras `hmer[pdf]` and `hmer[heic]`.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hmer.errors import HmerError, InkError
from hmer.extra import require
from hmer.ink.markup import has_ink, root_name

MAX_SOURCE_PIXELS = 2**27
"""Pictures larger than this are not opened: 128 megapixels."""

MAX_BYTES = 2**29
"""Files larger than this, or endless, are not read: 512 MiB."""

MAX_FRAMES = 32
"""Pages or frames of a file that are searched for ink: fewer where they have too many pixels."""

FORMATS = (
    "PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM",
    *(("AVIF",) if find_spec("PIL._avif") else ()),
)  # fmt: skip
"""File formats that Pillow reads for us. Others that it knows run external programs, or are
obscure."""

PICTURES = tuple(
    ".png .jpg .jpeg .jfif .bmp .gif .tif .tiff .webp .pbm .pgm .ppm .avif .heic .heif".split()
)
"""Endings of picture files that are looked for in folders and packages."""

_MAX_SIDE = 2560  # larger pictures are shrunk: handwriting on them is still sharp
_LEAST_SIDE = 256  # and a strip's other side is not shrunk below this
_PDF_SCALE = 300 / 72  # pixels per point, at most: 300 dpi
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_pdfium = threading.Lock()  # it must not be used by two threads
_TEXT = 4096  # bytes from which text is told
_MARKS = {
    b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF",
    b"MM\0*": "TIFF", b"RIFF": "WebP", b"P5": "PGM", b"P6": "PPM",
}  # fmt: skip
_AGAIN = "save it as PNG or JPEG"


def content(path: Path) -> bytes:
    """The bytes of a file, or of whatever can be read like one (a pipe).

    Raises:
        InkError: it is missing, a folder, too large, or cannot be opened.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InkError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise InkError(f"{path}: a folder; name pictures or InkML files in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InkError(f"{path}: cannot be opened ({reason}); check the path") from None
    if len(data) > MAX_BYTES:
        raise InkError(f"{path}: more than {MAX_BYTES // 2**20} MiB; scale the picture down")
    return data


class Page(NamedTuple):
    """A page or frame of a file."""

    image: Image.Image
    """Upright, in mode L or RGB, at most 2560 pixels square."""
    scale: float
    """Pixels of the picture as it was, or points of a PDF's page, per pixel of the image."""
    pages: int = 1
    """Pages or frames in the file."""
    document: bool = False
    """Whether these are pages to be read one after the other, not frames or copies."""


def frames(data: bytes, name: str) -> Iterator[Page]:
    """The pictures in a file, upright (EXIF). At most `MAX_FRAMES` are opened.

    Raises:
        InkError: it is not a picture, damaged, too large, or a package for it is missing.
    """
    try:
        if b"%PDF-" in data[:1024]:
            yield from _pdf_pages(data, name)
            return
        # From memory: Pillow garbles an uncompressed TIFF to be turned that it maps from a file.
        with warnings.catch_warnings():  # that a picture is large, or its notes are damaged
            warnings.simplefilter("ignore")
            if data[4:8] == b"ftyp" and data[8:12] in _HEIF:
                plugin = require("pillow_heif", "pillow_heif.as_plugin", extra="heic")
                picture: Image.Image = plugin.HeifImageFile(io.BytesIO(data))
            else:
                picture = Image.open(io.BytesIO(data), formats=FORMATS)
        with picture:
            if picture.width * picture.height > MAX_SOURCE_PIXELS:
                raise InkError(_too_large(name))
            # The further pictures of a photograph are its depth, or smaller copies.
            single = picture.format in ("MPO", "HEIF")
            count = 1 if single else int(getattr(picture, "n_frames", 1))
            room = max(1, MAX_SOURCE_PIXELS // max(1, picture.width * picture.height))
            for index in range(min(count, MAX_FRAMES, room)):
                yield _frame(picture, index, name)._replace(pages=count)
    except (InkError, GeneratorExit):
        raise
    except Image.DecompressionBombError:
        raise InkError(_too_large(name)) from None
    except Exception as error:  # Pillow's readers raise whatever damaged bytes lead them to
        what, remedy = _kind(data, error)
        raise InkError(f"{name}: not a readable picture ({what}); {remedy}") from error


def _pdf_pages(data: bytes, name: str) -> Iterator[Page]:
    pdfium = require("pypdfium2", extra="pdf")
    with _pdfium:
        document = pdfium.PdfDocument(data)
        count = len(document)
    if count > MAX_FRAMES:
        warnings.warn(
            f"{name}: of {count} pages only the first {MAX_FRAMES} are read; split the document",
            stacklevel=2,
        )
    try:
        for index in range(min(count, MAX_FRAMES)):
            with _pdfium:
                page = document[index]
                scale = min(_PDF_SCALE, _MAX_SIDE / max(*page.get_size(), 1.0))
                image = page.render(scale=scale).to_pil().convert("RGB")
                page.close()
            yield Page(image, 1 / scale, count, document=True)
    finally:
        with _pdfium:
            document.close()


def plain(picture: Image.Image, name: str) -> Image.Image:
    """A Pillow image in mode L or RGB, transparent parts filled, at most 2560 pixels square.

    Raises:
        InkError: its mode or its content cannot be converted, or it is too large.
    """
    if not picture.width * picture.height:
        raise InkError(f"{name}: a picture without pixels; {_AGAIN}")
    if picture.width * picture.height > MAX_SOURCE_PIXELS:
        raise InkError(_too_large(name))
    try:
        found = _filled(picture)
        ratio = max(found.size) / min(found.size)
        side = max(_MAX_SIDE, int(min(_LEAST_SIDE * ratio, _MAX_SIDE * ratio**0.5)))
        found.thumbnail((side, side), Image.Resampling.BOX)
    except Exception as error:  # as above
        raise InkError(f"{name}: not a readable picture ({error}); {_AGAIN}") from error
    return found


def from_array(values: NDArray[np.generic], name: str) -> Image.Image:
    """An array (H, W) or (H, W, channels) of 1 (grey), 2 (and alpha), 3 (RGB) or 4 (RGBA).

    Numbers that are not 8 bits: fractions up to 1 and booleans are spread over 0 to 255; what goes
    beyond 255, from the least to the largest.

    Raises:
        InkError: another shape or type, no pixels, or too large.
    """
    shape = values.shape
    if not (values.ndim == 2 or (values.ndim == 3 and 1 <= shape[2] <= 4)):
        raise InkError(
            f"{name}: an array of shape {shape} is no picture; give (H, W), (H, W, 3) or (H, W, 4)"
        )
    if values.dtype.kind not in "buif":
        raise InkError(f"{name}: an array of {values.dtype} is no picture; give numbers")
    if not values.size or shape[0] * shape[1] > MAX_SOURCE_PIXELS:
        raise InkError(f"{name}: an array of shape {shape} has no pixels, or too many")
    levels = values[..., 0] if values.ndim == 3 and shape[2] == 1 else values
    return plain(Image.fromarray(_levels(levels)), name)


def looks_like_xml(data: bytes) -> bool:
    """Whether this is a text with `<ink>` in it, or else XML that is neither SVG nor HTML."""
    if has_ink(data):
        return True
    text = _text(data)
    web = re.search(r"<(!doctype\s+)?html\b", text)
    return text.startswith("<") and not web and root_name(data) != "svg"


def _frame(picture: Image.Image, index: int, name: str) -> Page:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if index:
            picture.seek(index)
        longest = max(picture.size)
        if not index:
            picture.draft(None, (_MAX_SIDE, _MAX_SIDE))
        picture.load()
        image = plain(ImageOps.exif_transpose(picture), name)
        return Page(image, longest / max(image.size))


def _too_large(name: str) -> str:
    return f"{name}: more than {MAX_SOURCE_PIXELS // 2**20} megapixels; scale it down"


def _levels(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Numbers over 8 bits; see `from_array`."""
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values, np.uint8)
    numbers = np.nan_to_num(np.asarray(values, np.float64), posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    if low >= 0 and high <= 1 and values.dtype.kind in "bf":
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    return np.asarray((numbers - low) / max(high - low, 1e-9) * 255, np.uint8)


def _filled(picture: Image.Image) -> Image.Image:
    """In L or RGB, transparent parts filled so that the ink stays apart from them."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        # Deep grey: spread what is there over 8 bits; converting would cut it off at 255.
        values = np.nan_to_num(np.asarray(picture, np.float64), posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        return Image.fromarray(np.uint8((values - low) / max(high - low, 1e-9) * 255))
    if picture.mode == "LAB":
        return picture.getchannel(0)
    if not picture.has_transparency_data:
        return picture.convert("L" if picture.mode in ("1", "L") else "RGB")
    layer = picture.convert("RGBA")
    alpha = np.asarray(layer.getchannel("A"))
    most = int(alpha.max())
    if not most:  # not used, as in many a BMP; what is the same all over stays blank
        return layer.convert("RGB")
    if most < 255:  # written as 0 and 1, or all of it sheer
        layer.putalpha(Image.fromarray(np.uint8(alpha * (255.0 / most))))
        alpha = np.asarray(layer.getchannel("A"))
    seen = np.asarray(layer.convert("RGB"))[alpha > 127]
    usual = np.median(seen, axis=0)
    if len(seen) > alpha.size / 2:
        paper = tuple(int(level) for level in usual)  # a canvas with bare corners
    else:
        paper = (255,) * 3 if float(usual @ (0.299, 0.587, 0.114)) < 128 else (0,) * 3
    ground = Image.new("RGBA", layer.size, (*paper, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")


def _text(data: bytes) -> str:
    """How a file begins, in lower case and whatever the encoding, if it is text; else ""."""
    head = data[:_TEXT].removeprefix(b"\xef\xbb\xbf")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head.decode("utf-16", "replace").strip().lower()
    if head[:4] in (b"<\0?\0", b"<\0i\0", b"\0<\0?", b"\0<\0i"):
        head = head.replace(b"\0", b"")
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head.rstrip(b"\0")):
        return ""
    return head.decode("utf-8", "replace").strip().lower()


def _kind(data: bytes, error: Exception) -> tuple[str, str]:
    """What a file that is no readable picture is, and what to do about it."""
    if not data.strip(b"\0 \t\r\n"):
        return "the file is empty", "save or fetch it again"
    if b"%PDF-" in data[:1024]:
        return f"a PDF document: {error}", "save the expression on its page as PNG or JPEG"
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        kind = "HEIC" if brand in _HEIF else brand.decode("ascii", "replace").upper()
        remedy = f"{_AGAIN} (a phone's camera can be set to JPEG)"
        return f"a file of type {kind}{_why(error)}", remedy
    text = _text(data)
    if re.search(r"<(!doctype\s+)?html\b", text):
        return "a web page, HTML", "fetch the picture itself, as PNG or JPEG"
    if re.search(r"<svg\b", text):
        return "an SVG drawing", "export it as PNG or JPEG"
    if text:
        return "text", "name a picture, PNG or JPEG, or an InkML file"
    if data.startswith((b"PK\3\4", b"\x1f\x8b", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!")):
        return "a package or an Office document", "unpack it, or save its picture as PNG or JPEG"
    for mark, kind in _MARKS.items():
        if data.startswith(mark):
            return f"{kind}, cut short or damaged{_why(error)}", f"fetch it again, or {_AGAIN}"
    return "of no kind that is known", _AGAIN


def _why(error: Exception) -> str:
    """The reason in an error of a library below, or the package that is missing."""
    if isinstance(error, HmerError):
        return f": {error}"
    reason = str(error).split(":")[0].split("<")[0].strip() or type(error).__name__
    return f": {reason}"
