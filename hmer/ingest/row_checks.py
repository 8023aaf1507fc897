"""Checks of a single row of the dataset, for the validation gate."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hmer.errors import HmerError, LatexError
from hmer.ink.codec import unpack
from hmer.ink.images import ink_mask
from hmer.ink.strokes import Ink
from hmer.latex.dialect import canonical, normalise
from hmer.latex.tree import nesting_depth, parse

RESPELLED = "spelled otherwise, renders alike"
REFUSED = "the raw truth cannot be read"
ZEROS = "caption lacks zeros of a number"
BRACES = "braces of the raw truth do not match"
EMPTY_SCRIPT = "empty script in the raw truth"
ORDER = "same tokens in another order"
LEFT_OUT = "caption leaves tokens out"
OTHER = "other tokens"

REASONS = (RESPELLED, REFUSED, ZEROS, BRACES, EMPTY_SCRIPT, ORDER, LEFT_OUT, OTHER)
"""Every explanation there is; the first that holds is given."""


def caption_difference(raw: str, caption: Sequence[str], dialect: str) -> tuple[str, str] | None:
    """Compare a caption with the normalised raw truth.

    Returns:
        The explanation, one of `REASONS`, and what we would write; None where that is the caption.
    """
    try:
        ours = normalise(raw, dialect)
    except LatexError as error:
        return REFUSED, str(error)
    if ours == list(caption):
        return None
    return _reason(ours, list(caption), raw), " ".join(ours)


def _reason(ours: list[str], caption: list[str], raw: str) -> str:
    if canonical(ours) == canonical(caption):
        return RESPELLED
    if _without_zeros(ours) == _without_zeros(caption):
        return ZEROS
    if raw.count("{") != raw.count("}"):
        return BRACES
    if re.search(r"[_^]\s*\{\s*\}", raw):
        return EMPTY_SCRIPT
    if sorted(ours) == sorted(caption):
        return ORDER
    rest = iter(ours)
    return LEFT_OUT if all(token in rest for token in caption) else OTHER


def _without_zeros(tokens: list[str]) -> list[str]:
    """What is left of a caption whose author shortened `1.0` to `1`."""
    return [token for token in tokens if token not in "0."]


REQUIRED = ("id", "source", "split", "latex", "tokens", "image")
"""Columns without which a row cannot be used."""

FINGERPRINT_SIZE = (24, 12)
FINGERPRINT_BYTES = FINGERPRINT_SIZE[0] * FINGERPRINT_SIZE[1]
MAX_PIXELS = 2**25
"""A picture beyond this (32 megapixels) is refused before it is decoded."""

_ORDINARY = frozenset("0123456789abcdefghijklmnopqrstuvwxyz")
_UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)

FACTS = {
    "id": "str",
    "source": "str",
    "split": "str",
    "writer": "str",
    "file": "str",  # stem of the Parquet file
    "row": "int64",  # position within the file
    "missing": "str",  # required columns that are empty, blank between
    "tokens": "float64",
    "unknown": "str",  # tokens that are not in the vocabulary, blank between
    "parse_error": "str",  # "" where the label parses
    "depth": "float64",  # braced groups within one another; 0 for a flat expression
    "difference": "str",  # from what the raw truth normalises to, with an explanation
    "label_hash": "int64",
    "image_error": "str",  # "" where it decodes to the declared size
    "height": "float64",
    "width": "float64",
    "ink_share": "float64",  # share of pixels that are more ink than paper
    "image_hash": "int64",  # 0 where there is no picture
    "strokes": "float64",  # unknown for a mere picture
    "symbol_height": "float64",  # median over letters and digits, in symbol units
    "ink_error": "str",  # "" where the packed ink agrees with the row
    "box_error": "str",  # "" where the symbol boxes lie in the picture
    "broken": "str",  # probes that raised what they should not have, with the exception
}
"""What is known of a row, with its type in a data frame; None or NaN where it is not known."""

Facts = dict[str, Any]


def row_facts(
    row: Mapping[str, Any],
    file: str,
    index: int,
    vocabulary: frozenset[str],
    dialect: str | None = None,
) -> tuple[Facts, bytes]:
    """The facts of one row, and the fingerprint of its picture (FINGERPRINT_BYTES bytes).

    Without a dialect captions are not compared with the raw truths.
    """
    tokens = None if row["tokens"] is None else [token or "" for token in row["tokens"]]
    facts: Facts = {
        "id": row["id"] or "",
        "source": row["source"] or "",
        "split": row["split"] or "",
        "writer": row["writer"] or None,
        "file": file,
        "row": index,
        "missing": " ".join(name for name in REQUIRED if not row[name]),
        "tokens": None if tokens is None else len(tokens),
        "unknown": " ".join(sorted(set(tokens or ()) - vocabulary)),
        "label_hash": _hash("\x1f".join(tokens or ()).encode()),
        "height": row["height"],
        "width": row["width"],
        "image_hash": 0,
        "strokes": row["strokes"] or None,
    }
    probes: dict[str, Callable[[], Facts]] = {
        "label": lambda: label_facts(tokens),
        "image": lambda: picture_facts(row["image"], row["height"], row["width"]),
        "caption": lambda: {"difference": difference(row["latex"], tokens, dialect)},
        "scale": lambda: {"symbol_height": symbol_height(row["ink"])},
        "ink": lambda: {"ink_error": ink_error(row["ink"], row["strokes"])},
        "boxes": lambda: {"box_error": box_error(row["symbol_boxes"], row["height"], row["width"])},
    }
    broken: list[str] = []
    for name, probe in probes.items():
        try:
            facts |= probe()
        except Exception as error:
            broken.append(f"{name}: {type(error).__name__}: {error}")
    facts["broken"] = "; ".join(broken)
    return facts, facts.pop("fingerprint", bytes(FINGERPRINT_BYTES))


def label_facts(tokens: Sequence[str] | None) -> Facts:
    """Why the label does not parse ("" where it does), and how deeply it is nested."""
    if tokens is None:
        return {}
    if not tokens:
        return {"parse_error": "the label is empty"}
    try:
        parse(list(tokens))
    except HmerError as error:
        return {"parse_error": str(error)}
    return {"parse_error": "", "depth": nesting_depth(tokens)}


def difference(latex: str | None, tokens: Sequence[str] | None, dialect: str | None) -> str | None:
    """How the caption differs from the normalised raw truth: "" where it does not."""
    if not latex or not tokens or dialect is None:
        return None
    found = caption_difference(latex, tokens, dialect)
    return "" if found is None else f"{found[0]}: {found[1]}, given as {' '.join(tokens)}"


def symbol_height(data: bytes | None) -> float | None:
    """Median height of the lower-case letters and digits, in symbol units: about 1.

    None where ink or segmentation is unknown, where there is no such symbol, or where the ink
    cannot be read (which `ink_error` tells).
    """
    if data is None:
        return None
    try:
        ink = unpack(data)
        heights = [_height(ink, s.strokes) for s in ink.symbols if s.token in _ORDINARY]
    except (HmerError, ValueError, IndexError):
        return None
    return float(np.median(heights)) if heights else None


def _height(ink: Ink, strokes: Sequence[int]) -> float:
    ys = np.concatenate([ink.strokes[stroke][:, 1] for stroke in strokes])
    return float(np.ptp(ys))


def picture_facts(data: bytes | None, height: int | None, width: int | None) -> Facts:
    """Decode a picture and compare it with its declared size (8-bit grey, ink 255 on 0).

    The `fingerprint` among the facts is a thumbnail of its ink.
    """
    if data is None:
        return {}
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG",))
        if image.size[0] * image.size[1] > MAX_PIXELS:
            sides = f"{image.size[0]} x {image.size[1]}"
            return {"image_error": f"{sides} pixels are too many to decode"}
        mode = image.mode
        pixels = np.asarray(image.convert("L"))
    except (*_UNDECODABLE, Image.DecompressionBombError) as error:
        # Pillow names a memory address in its message, which no report can repeat.
        reason = "not a PNG" if type(error).__name__ == "UnidentifiedImageError" else str(error)
        return {"image_error": f"does not decode: {reason}"}
    error_text = ""
    if pixels.shape != (height, width):
        error_text = (
            f"is {pixels.shape[0]} high, {pixels.shape[1]} wide; declared {height}, {width}"
        )
    elif mode != "L":
        error_text = f"is of mode {mode}, not 8-bit grey"
    shape = struct.pack("<II", *pixels.shape)
    return {
        "image_error": error_text,
        "ink_share": float(np.count_nonzero(ink_mask(pixels)) / pixels.size),
        "image_hash": _hash(shape + pixels.tobytes()),
        "fingerprint": _fingerprint(pixels),
    }


def _fingerprint(pixels: NDArray[np.uint8]) -> bytes:
    """A thumbnail of the ink's bounding box, so that neither margin nor scale matters."""
    rows, columns = (np.flatnonzero(ink_mask(pixels).any(axis=side)) for side in (1, 0))
    if len(rows):
        pixels = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    thumbnail = Image.fromarray(pixels).resize(FINGERPRINT_SIZE, Image.Resampling.BOX)
    return thumbnail.tobytes()


def ink_error(data: bytes | None, strokes: int | None) -> str | None:
    """Why the packed ink cannot be used; "" where it can, None where there is none."""
    if data is None:
        return None
    try:
        ink = unpack(data)
    except (HmerError, ValueError) as error:
        return str(error)
    if len(ink.strokes) != strokes:
        return f"holds {len(ink.strokes)} strokes; declared {strokes}"
    if not all(len(stroke) and np.isfinite(stroke).all() for stroke in ink.strokes):
        return "holds strokes without points or with coordinates that are no numbers"
    return ""


def box_error(
    boxes: Sequence[Mapping[str, Any]] | None, height: int | None, width: int | None
) -> str | None:
    """Which symbol box leaves the picture; "" where none does, None where there are none."""
    if boxes is None or height is None or width is None:
        return None
    for box in boxes:
        inside = -1 <= box["left"] <= box["right"] <= width + 1
        if not (inside and -1 <= box["top"] <= box["bottom"] <= height + 1):
            return f"the box of {box['token']} leaves the picture"
    return ""


def _hash(data: bytes) -> int:
    # 63 bits: fits the signed 64-bit column of a data frame.
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big") >> 1
