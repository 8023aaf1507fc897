"""Reading pictures as people take them: pens, sizes, paper, light, turning, compression.

    python -m benchmarks.pictures DATASET [--model MODEL] [--limit 40] [--beam 10] [--json]

Draws the validation ink of an ingested data set (never a test set) by a plain renderer of its own,
spoils each drawing in every way listed here, and counts what is read without mistake.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from rich.console import Console
from rich.table import Table

from hmer.data.dataset import load_expressions
from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError
from hmer.ink.strokes import Ink
from hmer.recognizer import Recognizer

Coverage = NDArray[np.float64]
"""How much of each pixel is ink, (H, W), 0 to 1."""
Way = Callable[[Ink, np.random.Generator], Image.Image]

SHORTEST, LONGEST = 7, 20
"""Tokens of the expressions that are drawn."""

INK, WHITE = (30, 30, 40), (255, 255, 255)


def draw(ink: Ink, height: int = 200, pen: float = 4, margin: float = 0.12) -> Coverage:
    """The ink on a picture of this height, four times supersampled."""
    left, top, right, bottom = ink.bounds()
    scale = height * (1 - 2 * margin) / max(bottom - top, (right - left) / 12)
    edge = height * margin + pen / 2
    size = ((right - left) * scale + 2 * edge, (bottom - top) * scale + 2 * edge)
    picture = Image.new("L", (int(size[0] * 4), int(size[1] * 4)))
    canvas, radius = ImageDraw.Draw(picture), pen * 2
    for stroke in ink.strokes:
        points = [(x, y) for x, y in ((stroke - (left, top)) * scale + edge) * 4]
        canvas.line(points, 255, max(1, round(pen * 4)), joint="curve")
        for x, y in (points[0], points[-1]):
            canvas.ellipse((x - radius, y - radius, x + radius, y + radius), 255)
    return np.asarray(picture.reduce(4), np.float64) / 255


def painted(
    cover: Coverage,
    rng: np.random.Generator,
    *,
    ink: tuple[int, int, int] = INK,
    paper: tuple[int, int, int] = WHITE,
    noise: float = 0,
    shadow: float = 0,
    jpeg: int | None = None,
) -> Image.Image:
    """Ink on paper, in the shade towards one corner, with grain, compressed."""
    share = cover[..., None]
    light = 1 - shadow * np.linspace(0, 1, cover.shape[1])[None, :, None]
    colours = (share * ink + (1 - share) * np.asarray(paper)) * light
    colours += rng.normal(0, noise or 1e-9, cover.shape)[..., None]
    picture = Image.fromarray(np.uint8(np.clip(np.rint(colours), 0, 255)))
    if jpeg is None:
        return picture
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=jpeg)
    return Image.open(buffer)


def turned(cover: Coverage, degrees: float) -> Coverage:
    """Rising to the right, on as much more paper as it needs."""
    picture = Image.fromarray(np.uint8(cover * 255))
    return np.asarray(picture.rotate(degrees, Image.Resampling.BICUBIC, expand=True)) / 255


def tilted(cover: Coverage) -> Coverage:
    """Photographed from the left: the right side is a quarter smaller."""
    height, width = cover.shape
    side = height / 8
    corners = [(0, 0, 0, 0), (width, side, width, 0), (width, height - side, width, height)]
    corners.append((0, height, 0, height))
    rows, values = [], []
    for x, y, u, v in corners:  # where each corner comes from
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    map_back = np.linalg.solve(rows, values).tolist()
    picture = Image.fromarray(np.uint8(cover * 255))
    how = Image.Transform.PERSPECTIVE
    return np.asarray(picture.transform(picture.size, how, map_back, 3)) / 255


def blurred(cover: Coverage, radius: float) -> Coverage:
    """Out of focus."""
    picture = Image.fromarray(np.uint8(cover * 255)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(picture) / 255


def placed(cover: Coverage, height: int, width: int) -> Coverage:
    """Near the top of a page."""
    page = np.zeros((max(height, cover.shape[0]), max(width, cover.shape[1])))
    top, left = page.shape[0] // 8, (page.shape[1] - cover.shape[1]) // 2
    page[top : top + cover.shape[0], left : left + cover.shape[1]] = cover
    return page


def ruled(cover: Coverage, rng: np.random.Generator, *, squared: bool, grey: int) -> Image.Image:
    """On paper with printed lines two pixels wide."""
    picture = np.asarray(painted(cover, rng, noise=2)).copy()
    lines = np.zeros(cover.shape, bool)
    lines[(np.arange(len(cover)) % 60 < 2) & (np.arange(len(cover)) > 10)] = True
    if squared:
        lines[:, np.arange(cover.shape[1]) % 60 < 2] = True
    picture[lines] = np.minimum(picture[lines], grey)
    return Image.fromarray(picture)


def on_desk(cover: Coverage, rng: np.random.Generator) -> Image.Image:
    """A sheet photographed with the dark desk around it, all slightly turned."""
    sheet = painted(cover, rng, paper=(225, 222, 215), noise=3)
    desk = Image.new("RGB", (int(sheet.width * 1.2), int(sheet.height * 1.6)), (45, 35, 30))
    desk.paste(sheet, (sheet.width // 10, int(sheet.height * 0.3)))
    how = Image.Resampling.BICUBIC
    photo = np.asarray(desk.rotate(2, how, fillcolor=(45, 35, 30)), np.float64)
    return Image.fromarray(np.uint8(np.clip(photo + rng.normal(0, 4, photo.shape), 0, 255)))


PHOTO = {"paper": (236,) * 3, "noise": 8, "jpeg": 60}
LARGE = 700  # pixels of height of a photograph, with a pen of 9


def ways() -> dict[str, Way]:
    """Every way to spoil a drawing, by name; the first is the clean one."""
    found: dict[str, Way] = {}
    for pen in (4, 1, 2, 10, 18):
        found[f"200 px, pen {pen}"] = lambda ink, rng, pen=pen: painted(draw(ink, 200, pen), rng)
    for height, pen in ((30, 1), (60, 1.5), (1200, 16)):
        found[f"{height} px"] = lambda ink, rng, h=height, p=pen: painted(draw(ink, h, p), rng)

    def photo(change: Callable[[Coverage], Coverage], **look: object) -> Way:
        return lambda ink, rng: painted(change(draw(ink, LARGE, 9)), rng, **look)  # type: ignore[arg-type]

    def small(change: Callable[[Coverage], Coverage], **look: object) -> Way:
        return lambda ink, rng: painted(change(draw(ink)), rng, **look)  # type: ignore[arg-type]

    same: Callable[[Coverage], Coverage] = np.asarray
    found["paper 205, noise 3"] = photo(same, paper=(205,) * 3, noise=3)
    found["the same in shadow"] = photo(same, paper=(205,) * 3, noise=3, shadow=0.5)
    found["paper 236, noise 8, JPEG 60"] = photo(same, **PHOTO)
    found["the same, 3 degrees"] = photo(partial(turned, degrees=3), **PHOTO)
    a4 = partial(placed, height=2338, width=1654)
    found["A4 scan, white, noise 4"] = lambda ink, rng: painted(
        a4(draw(ink, 200, 5)), rng, noise=4, jpeg=85
    )
    found["pencil on grey, noise 6"] = photo(same, ink=(130,) * 3, paper=(225,) * 3, noise=6)
    for angle in (3, 8, 15):
        found[f"{angle} degrees"] = small(partial(turned, degrees=angle))
    found["perspective"] = small(tilted)
    for radius in (3, 8):
        found[f"blur {radius}"] = photo(partial(blurred, radius=radius))
    found["JPEG 10"] = small(same, jpeg=10)
    found["dark mode"] = small(same, ink=(212,) * 3, paper=(30,) * 3)
    found["chalk"] = photo(same, ink=(215, 220, 210), paper=(40, 70, 55), noise=8, jpeg=80)
    found["red"] = small(same, ink=(220, 40, 40))
    found["dark desk"] = on_desk_way = lambda ink, rng: on_desk(draw(ink, 500, 7), rng)
    del on_desk_way
    for name, squared, grey in (("ruled", False, 170), ("squared", True, 170)):
        found[name] = lambda ink, rng, s=squared, g=grey: ruled(
            draw(ink, 400, 6), rng, squared=s, grey=g
        )
    found["90 degrees"] = small(partial(turned, degrees=90))
    return found


def measure(
    model: Path | None, data: Path, limit: int, beam: int, only: str
) -> dict[str, dict[str, int]]:
    """For each way how many are right, and how many are refused."""
    expressions = load_expressions(data / "val.parquet" if data.is_dir() else data)
    rng = np.random.default_rng(0)
    fit = [i for i, t in enumerate(expressions.tokens) if SHORTEST <= len(t) <= LONGEST]
    chosen = [i for i in rng.permutation(fit).tolist() if expressions.inks[i] is not None][:limit]
    recognizer, decoding = Recognizer.load(model), DecodingConfig(beam=beam)
    table: dict[str, dict[str, int]] = {}
    for name, way in {"ink": None, **ways()}.items():
        if only not in name:
            continue
        row = table.setdefault(name, {"right": 0, "refused": 0})
        for index in chosen:
            ink = expressions.ink(index)
            assert ink is not None
            source: Ink | bytes = ink
            if way is not None:
                buffer = io.BytesIO()
                way(ink, np.random.default_rng(index)).save(buffer, "PNG")
                source = buffer.getvalue()
            try:
                found = recognizer.recognize(source, decoding)
            except HmerError:
                row["refused"] += 1
            else:
                row["right"] += list(found.tokens) == expressions.tokens[index]
    return table


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.pictures")
    parser.add_argument("dataset", type=Path, help="folder of a data set, or one of its files")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--beam", type=int, default=10)
    parser.add_argument("--only", default="", help="ways whose name holds this")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    try:
        rows = measure(asked.model, asked.dataset, asked.limit, asked.beam, asked.only)
    except HmerError as error:
        sys.exit(f"error: {error}")
    if asked.json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    table = Table("picture", "right", "refused", title=f"{asked.limit} expressions")
    for name, row in rows.items():
        table.add_row(name, str(row["right"]), str(row["refused"]))
    Console().print(table)


if __name__ == "__main__":
    main()
