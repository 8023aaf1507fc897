"""Pictures as people take them: how much of the clean ExpRate each kind of damage leaves.

    python -m benchmarks.pictures DATASET [--model FOLDER] [--limit 60] [--beam 3] [--only WORD]
        [--json]

Draws validation ink of an ingested data set (never a test year) by a renderer of its own, damages
each drawing in twelve ways at three strengths, and reads all of them.
"""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.output import publish
from benchmarks.timing import Row
from hmer.data.dataset import load_expressions
from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError
from hmer.ink.strokes import Ink
from hmer.recognizer import Recognizer

SHORTEST, LONGEST = 5, 20
"""Tokens of the expressions that are drawn."""
SEED = 0

Cover = NDArray[np.float64]
"""How much of each pixel is ink: (H, W), 0 to 1."""
Colour = tuple[int, int, int]
Damage = Callable[[Ink, np.random.Generator], Image.Image]

BLACK, WHITE = (30, 30, 40), (255, 255, 255)


def draw(ink: Ink, height: float = 200, pen: float = 4, margin: float = 0.15) -> Cover:
    """The ink on a picture about this high (wide formulas are smaller), pen in pixels."""
    left, top, right, bottom = ink.bounds()
    scale = height * (1 - 2 * margin) / max(bottom - top, (right - left) / 12, 1e-6)
    edge = height * margin + pen / 2
    size = ((right - left) * scale + 2 * edge, (bottom - top) * scale + 2 * edge)
    fine = 4 if height <= 200 else 2  # times supersampled
    picture = Image.new("L", (int(size[0] * fine), int(size[1] * fine)))
    canvas, radius = ImageDraw.Draw(picture), pen * fine / 2
    for stroke in ink.strokes:
        points = [(x, y) for x, y in (((stroke - (left, top)) * scale + edge) * fine).tolist()]
        canvas.line(points, 255, max(1, round(pen * fine)), joint="curve")
        for x, y in (points[0], points[-1]):
            canvas.ellipse((x - radius, y - radius, x + radius, y + radius), 255)
    return np.asarray(picture.reduce(fine), np.float64) / 255


def paint(
    cover: Cover,
    rng: np.random.Generator,
    ink: Colour = BLACK,
    paper: Colour = WHITE,
    noise: float = 0,
    shadow: float = 0,
    jpeg: int = 0,
) -> Image.Image:
    """Ink on paper that darkens to the right, with sensor noise (grey levels), compressed."""
    share = cover[..., None]
    light = 1 - shadow * np.linspace(0, 1, cover.shape[1])[None, :, None]
    colours = (share * np.asarray(ink) + (1 - share) * np.asarray(paper)) * light
    if noise:
        colours += rng.normal(0, noise, cover.shape)[..., None]
    return _compressed(colours, jpeg)


def _compressed(colours: NDArray[np.float64], jpeg: int) -> Image.Image:
    picture = Image.fromarray(np.uint8(np.clip(np.rint(colours), 0, 255)))
    if not jpeg:
        return picture
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=jpeg)
    return Image.open(buffer)


def _through(cover: Cover, change: Callable[[Image.Image], Image.Image]) -> Cover:
    return np.asarray(change(Image.fromarray(np.uint8(cover * 255))), np.float64) / 255


def turn(cover: Cover, degrees: float) -> Cover:
    """Rising to the right, on as much more paper as it needs."""
    return _through(cover, lambda page: page.rotate(degrees, Image.Resampling.BICUBIC, True))


def tilt(cover: Cover, share: float) -> Cover:
    """Photographed from the left: the right side is smaller by twice this share."""
    height, width = cover.shape
    side = height * share
    rows, values = [], []
    for x, y, u, v in (  # where each corner comes from
        (0, 0, 0, 0), (width, side, width, 0), (width, height - side, width, height),
        (0, height, 0, height),
    ):  # fmt: skip
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    back = np.linalg.solve(rows, values).tolist()
    how = Image.Transform.PERSPECTIVE
    return _through(
        cover, lambda page: page.transform(page.size, how, back, Image.Resampling.BICUBIC)
    )


def blur(cover: Cover, radius: float) -> Cover:
    """Out of focus: a Gaussian of this standard deviation in pixels."""
    return _through(cover, lambda page: page.filter(ImageFilter.GaussianBlur(radius)))


def on_a4(cover: Cover) -> Cover:
    """Near the top of a page of 1654 x 2338 pixels."""
    page = np.zeros((max(2338, cover.shape[0]), max(1654, cover.shape[1])))
    top, left = page.shape[0] // 8, (page.shape[1] - cover.shape[1]) // 2
    page[top : top + cover.shape[0], left : left + cover.shape[1]] = cover
    return page


def rule(ink: Ink, rng: np.random.Generator, level: int, squared: bool) -> Image.Image:
    """Writing 300 pixels high, lines or squares of this grey printed every 50, 2 wide, a photo."""
    cover = np.pad(draw(ink, 300, 5), 60)
    lines = np.zeros(cover.shape, bool)
    lines[np.arange(cover.shape[0]) % 50 >= 48] = True
    if squared:
        lines[:, np.arange(cover.shape[1]) % 50 >= 48] = True
    paper = np.where(lines, level, 245.0)
    grey = np.minimum(paper, cover * 40 + (1 - cover) * 245)
    noisy = grey + rng.normal(0, 2, grey.shape)
    askew = Image.fromarray(np.uint8(np.clip(noisy, 0, 255)))
    angle = float(rng.uniform(-2, 2))
    turned = askew.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=245)
    cut = round(abs(np.sin(np.deg2rad(angle))) * max(cover.shape)) + 1  # what is no paper
    cut = min(cut, 55)
    return turned.crop((cut, cut, turned.width - cut, turned.height - cut))


def desk(ink: Ink, rng: np.random.Generator, share: float) -> Image.Image:
    """A sheet, slightly turned, on a dark desk that shows for this share of its width around it."""
    sheet = paint(draw(ink, 400, 6, margin=0.25), rng, paper=(225, 222, 215), noise=3)
    edge = round(share * sheet.width)
    dark = (45, 35, 30)
    photo = Image.new("RGB", (sheet.width + 2 * edge, sheet.height + 2 * edge), dark)
    photo.paste(sheet, (edge, edge))
    turned = photo.rotate(float(rng.uniform(-3, 3)), Image.Resampling.BICUBIC, fillcolor=dark)
    return _compressed(np.asarray(turned) + rng.normal(0, 4, (*photo.size[::-1], 1)), 80)


def frame(ink: Ink, rng: np.random.Generator, width: float) -> Image.Image:
    """A box of this line width drawn around the expression, as on a form or a slide."""
    cover = draw(ink)
    picture = Image.fromarray(np.uint8(np.pad(cover, 30) * 255))
    box = (12, 12, picture.width - 13, picture.height - 13)
    ImageDraw.Draw(picture).rectangle(box, outline=255, width=round(width))
    return paint(np.asarray(picture) / 255, rng)


def damages() -> dict[str, tuple[Damage, ...]]:
    """Twelve kinds of picture (some in two rows), each at three strengths."""

    def three(make: Callable[..., Image.Image], *strengths: object) -> tuple[Damage, ...]:
        return tuple(
            lambda ink, rng, strength=strength: make(ink, rng, strength) for strength in strengths
        )

    looks = (
        {"ink": (212,) * 3, "paper": (30,) * 3},  # a screen in dark mode
        {"ink": (215, 220, 210), "paper": (40, 70, 55), "noise": 8, "jpeg": 80},  # a board
        {"ink": (200, 0, 0), "paper": (0, 102, 0)},  # of equal lightness
    )
    return {
        "A4 scan, noise 2 / 4 / 8": three(
            lambda i, g, noise: paint(on_a4(draw(i, 200, 5)), g, noise=noise, jpeg=85), 2, 4, 8
        ),
        "photo, paper 250 / 236 / 220, noise 4 / 8 / 12, JPEG 80 / 60 / 40": three(
            lambda i, g, s: paint(draw(i, 400, 6), g, paper=(s[0],) * 3, noise=s[1], jpeg=s[2]),
            (250, 4, 80),
            (236, 8, 60),
            (220, 12, 40),
        ),
        "shadow, light falls by 30 / 50 / 70 %": three(
            lambda i, g, s: paint(
                draw(i, 400, 6), g, shadow=s, jpeg=85, paper=(205, 203, 198), noise=3
            ),
            0.3,
            0.5,
            0.7,
        ),
        "blur, 1.5 / 3 / 6 px at 400": three(
            lambda i, g, s: paint(blur(draw(i, 400, 6), s), g, noise=2), 1.5, 3, 6
        ),
        "thin pen, 2.5 / 1.5 / 1 px at 200": three(
            lambda i, g, s: paint(draw(i, 200, s), g), 2.5, 1.5, 1.0
        ),
        "thick pen, 8 / 12 / 18 px at 200": three(
            lambda i, g, s: paint(draw(i, 200, s), g), 8, 12, 18
        ),
        "size, 100 / 60 / 30 px": three(
            lambda i, g, s: paint(draw(i, s, max(1.0, s / 50)), g), 100, 60, 30
        ),
        "turned by 5 / 10 / 20 degrees": three(
            lambda i, g, s: paint(turn(draw(i), s * float(g.choice([-1, 1]))), g), 5, 10, 20
        ),
        "turned by 90 / 180 / 270 degrees": three(
            lambda i, g, s: paint(turn(draw(i), s), g), 90, 180, 270
        ),
        "perspective, one side smaller by 12 / 25 / 40 %": three(
            lambda i, g, s: paint(tilt(draw(i), s), g), 0.06, 0.125, 0.2
        ),
        "ruled, askew, lines of grey 200 / 150 / 60": three(
            lambda i, g, s: rule(i, g, s, False), 200, 150, 60
        ),
        "squared, askew, lines of grey 200 / 150 / 60": three(
            lambda i, g, s: rule(i, g, s, True), 200, 150, 60
        ),
        "dark mode / board / equal lightness": three(
            lambda i, g, s: paint(draw(i, 300, 6), g, **s), *looks
        ),
        "dark desk around the sheet, 5 / 10 / 20 %": three(desk, 0.05, 0.1, 0.2),
        "box around it, 1 / 3 / 6 px": three(frame, 1, 3, 6),
    }


def measure(
    recognizer: Recognizer, data: Path, limit: int, beam: int, only: str
) -> dict[str, list[Row]]:
    """Of each kind of picture, at three strengths, the share of the clean ExpRate.

    Raises:
        HmerError: there is no such data set, or no ink of this length in it.
    """
    known = load_expressions(data)
    fit = [i for i, tokens in enumerate(known.tokens) if SHORTEST <= len(tokens) <= LONGEST]
    order = np.random.default_rng(SEED).permutation(fit).tolist()
    chosen = [(known.ink(i), known.tokens[i], i) for i in order if known.ink(i) is not None][:limit]
    if not chosen:
        raise HmerError(f"{data}: no ink of {SHORTEST} to {LONGEST} tokens; name another split")
    decoding = DecodingConfig(beam=beam)

    def right(damage: Damage) -> int:
        count = 0
        for ink, tokens, index in chosen:
            assert ink is not None
            picture = damage(ink, np.random.default_rng(index))
            try:
                found = recognizer.recognize(picture, decoding)
            except HmerError:
                continue  # refused is not read
            count += list(found.tokens) == tokens
        return count

    clean = right(lambda ink, rng: paint(draw(ink), rng))
    rows: list[Row] = []
    for name, levels in damages().items():
        if any(word in name for word in only.split(",")):
            counts = [right(damage) for damage in levels]
            shares = [round(100 * count / max(clean, 1)) for count in counts]
            strengths = ("weak, %", "middle, %", "strong, %")
            rows.append({"picture": name, **dict(zip(strengths, shares, strict=True))})
            sys.stderr.write(f"{name}: {counts}\n")
    return {f"{len(chosen)} expressions, seed {SEED}, beam {beam}, clean: {clean} right": rows}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures")
    parser.add_argument("dataset", type=Path, help="a split with ink: val.parquet")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--beam", type=int, default=3)
    parser.add_argument("--only", default="", help="kinds of picture whose name holds this,or that")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    try:
        recognizer = Recognizer.load(asked.model)
        report = measure(recognizer, asked.dataset, asked.limit, asked.beam, asked.only)
    except HmerError as error:
        sys.exit(f"error: {error}")
    publish(report)


if __name__ == "__main__":
    main()
