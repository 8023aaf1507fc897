"""`python -m benchmarks.synthesis TRAIN.parquet OUT`: composed ink against real ink.

Cuts a glyph bank, composes the captions of real expressions once more, and writes to OUT the
contact sheet, the histograms of spacing and size, and `compose.json`: speed, distances of the
habits, novelty of sampled captions, and the classifier two-sample test.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks import two_sample
from hmer.evaluation.figures.synthesis import contact_sheet, habit_histograms
from hmer.ink.render import render
from hmer.ink.strokes import Ink
from hmer.latex.parse import parse
from hmer.latex.serialise import serialise
from hmer.synthesis.bank import GlyphBank
from hmer.synthesis.comparison import Values, compare, gather
from hmer.synthesis.compose import ComposeConfig, Composer
from hmer.synthesis.cutting import Sourced, cut_bank, learn_extents, read_training_inks
from hmer.synthesis.fitted import FittedGrammar

_SHOWN = (
    *("sup scale", "sup raise", "sup gap", "sub scale", "sub drop", "limit scale"),
    *("fraction scale", "numerator gap", "denominator gap", "bar overshoot", "part shift"),
    *("radical roof", "radical pad", "radical end", "bracket top", "drift"),
    *("gap ordinary ordinary", "gap digit digit", "gap ordinary binary", "gap relation digit"),
)
_ROWS, _MEASURED, _SPEED = 14, 1500, 600
_LENGTHS = (5, 10, 20, 30, 40, 60)


def main(
    train: Annotated[Path, typer.Argument(help="Training split of a dataset with ink.")],
    out: Annotated[Path, typer.Argument(help="Folder for pictures and numbers.")],
    bank: Annotated[
        Path | None, typer.Option(help="Glyph bank; cut and kept there if there is none.")
    ] = None,
    pairs: Annotated[int, typer.Option(help="Expressions of the two-sample test.")] = 800,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Measure, draw and write."""
    items = [
        item
        for item in read_training_inks(train)
        if any(symbol.place is not None for symbol in item.ink.symbols)
    ]
    glyphs, refused = _bank(bank, items)
    grammar = FittedGrammar(item.tokens for item in items)
    composers = {
        "composed, real glyphs": Composer(glyphs, grammar),
        "composed, drawn glyphs": Composer(None, grammar),
        "careful, drawn glyphs": Composer(None, grammar, ComposeConfig(fitted=False)),
    }
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(items))
    chosen = [items[i] for i in order.tolist()]
    again = {name: _again(c, chosen[:_MEASURED], rng) for name, c in composers.items()}
    out.mkdir(parents=True, exist_ok=True)
    extents = learn_extents(items[:: max(1, len(items) // 1200)])
    real = gather(((item.ink, item.tokens) for item in chosen[:_MEASURED]), extents)
    habits = {"real": real}
    for name in list(composers)[:2]:
        written = zip(again[name], chosen[:_MEASURED], strict=True)
        habits[name] = gather(((ink, item.tokens) for ink, item in written), extents)
    (out / "habits.png").write_bytes(habit_histograms(habits, _SHOWN))
    (out / "contact.png").write_bytes(_sheet(chosen, again))
    inks = [item.ink for item in chosen[:pairs]]
    numbers = {
        "bank": _bank_numbers(glyphs) | {"refused": refused},
        "per_second": {name: _speed(c, seed) for name, c in composers.items()},
        "grammar": _grammar(grammar, items, rng),
        "two_sample": {
            name: asdict(two_sample.test(inks, again[name][: len(inks)], seed)) for name in again
        },
        "habits": {name: _distances(real, habits[name]) for name in list(habits)[1:]},
    }
    text = json.dumps(numbers, indent=1)
    (out / "compose.json").write_text(text + "\n")
    typer.echo(text)


def _bank(path: Path | None, items: list[Sourced]) -> tuple[GlyphBank, int | None]:
    """The bank, and how many symbols were refused for it; None where it was cut before."""
    if path is not None and path.is_file():
        return GlyphBank.load(path), None
    found, report = cut_bank(items)
    if path is not None:
        found.save(path)
    return found, (report.outliers + report.unlike).total()


def _again(composer: Composer, items: list[Sourced], rng: np.random.Generator) -> list[Ink]:
    return [composer.write(parse(item.tokens), rng).ink for item in items]


def _sheet(chosen: list[Sourced], again: dict[str, list[Ink]]) -> bytes:
    rows = [n for n, item in enumerate(chosen[:_MEASURED]) if 8 <= len(item.tokens) <= 36][:_ROWS]
    columns = [("real", [render(chosen[n].ink, 16).image for n in rows])]
    columns += [(name, [render(inks[n], 16).image for n in rows]) for name, inks in again.items()]
    return contact_sheet(columns)


def _speed(composer: Composer, seed: int) -> dict[str, float]:
    """Expressions per second of processor time, on one core, without and with rendering."""
    rng = np.random.default_rng(seed)
    for _ in range(50):
        composer(rng)
    began = time.process_time()
    written = [found for _ in range(_SPEED) if (found := composer(rng)) is not None]
    composed = time.process_time()
    for found in written:
        render(found.ink, 16)
    drawn = time.process_time()
    return {
        "composed": round(len(written) / (composed - began)),
        "composed_and_drawn": round(len(written) / (drawn - began)),
        "none": _SPEED - len(written),
    }


def _bank_numbers(bank: GlyphBank) -> dict[str, int]:
    return {"samples": len(bank), "classes": len(bank.tokens), "writers": len(bank.writers)}


def _grammar(
    grammar: FittedGrammar, items: list[Sourced], rng: np.random.Generator
) -> dict[str, object]:
    """How new sampled captions are, and lengths of captions beside those of samples."""
    known = {" ".join(item.tokens) for item in items}
    samples = [serialise(grammar.sample(rng)) for _ in range(4000)]
    sampled = [" ".join(tokens) for tokens in samples]
    return {
        "new": float(np.mean([caption not in known for caption in sampled])),
        "distinct": len(set(sampled)) / len(sampled),
        "lengths_corpus": _lengths([len(item.tokens) for item in items]),
        "lengths_sampled": _lengths([len(tokens) for tokens in samples]),
    }


def _lengths(lengths: list[int]) -> list[float]:
    """Shares of captions shorter than each of `_LENGTHS`."""
    return [round(float(np.mean(np.array(lengths) < limit)), 3) for limit in _LENGTHS]


def _distances(real: Values, composed: Values) -> dict[str, object]:
    found = compare(real, composed)
    return {
        "mean_ks": round(float(np.mean([distance.ks for distance in found])), 3),
        "by_habit": {
            distance.name: [
                round(distance.real, 2),
                round(distance.composed, 2),
                round(distance.ks, 2),
            ]
            for distance in found
        },
    }


if __name__ == "__main__":
    typer.run(main)
