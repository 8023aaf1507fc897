"""`python -m benchmarks.synthesis`: written ink against real ink.

`compose TRAIN.parquet OUT` cuts a glyph bank, composes the captions of real expressions once more,
and writes to OUT the contact sheet, the histograms of spacing and size, and `compose.json`: speed,
distances of the habits, novelty of sampled captions, and the classifier two-sample test.

`tokens TRAIN.parquet OUT` writes with all generators, and to OUT `tokens.png` and `tokens.json`:
how often each token comes in the training captions and in what each generator writes, and the
processor time of an expression of the mixture in a training.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from matplotlib.figure import Figure

from benchmarks import two_sample
from benchmarks.habits import Values, compare, gather
from hmer.ingest.material import TrainingInk, read_material
from hmer.ink.render import render
from hmer.ink.strokes import Ink
from hmer.latex.tree import parse, serialise
from hmer.plots import (
    MUTED,
    SANS,
    SERIES,
    TEXT,
    new_figure,
    on_paper,
    picture_grid,
    to_png,
)
from hmer.synthesis.base import Leakage, Written
from hmer.synthesis.compose import Composer
from hmer.synthesis.generators import Generators, GeneratorsConfig
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.glyphs.cutting import Sourced, cut_bank, learn_extents, read_training_inks
from hmer.synthesis.grammar.fitted import FittedGrammar

_SHOWN = (
    *("sup scale", "sup raise", "sup gap", "sub scale", "sub drop", "limit scale"),
    *("fraction scale", "numerator gap", "denominator gap", "bar overshoot", "part shift"),
    *("radical roof", "radical pad", "radical end", "bracket top", "drift"),
    *("gap ordinary ordinary", "gap digit digit", "gap ordinary binary", "gap relation digit"),
)
_ROWS, _MEASURED, _SPEED = 14, 1500, 600
_LENGTHS = (5, 10, 20, 30, 40, 60)

# The weights of the recipes for CROHME.
_IN_TRAINING = {"decompose": 0.4, "recombine": 0.4, "compose": 0.2}

_GENERATORS = tuple(_IN_TRAINING)
_STRUCTURE = frozenset(("{", "}", "^", "_", r"\limits"))
_RARE = 0.001  # share of all symbols below which a token is called rare
_FLOOR = 3e-5  # smallest share that is drawn
_DRAWS, _UNIT = 1500, 14.0
_WIDTH, _ROWS = 13.0, 2


app = typer.Typer(add_completion=False, help="Written ink against real ink.")


@app.command()
def compose(
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
    glyphs = _bank(bank, items)
    grammar = FittedGrammar(item.tokens for item in items)
    composers = {"composed, real glyphs": Composer(glyphs, grammar)}
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(items))
    chosen = [items[i] for i in order.tolist()]
    again = {name: _again(c, chosen[:_MEASURED], rng) for name, c in composers.items()}
    out.mkdir(parents=True, exist_ok=True)
    extents = learn_extents(items[:: max(1, len(items) // 1200)])
    real = gather(((item.ink, item.tokens) for item in chosen[:_MEASURED]), extents)
    habits = {"real": real}
    for name in composers:
        written = zip(again[name], chosen[:_MEASURED], strict=True)
        habits[name] = gather(((ink, item.tokens) for ink, item in written), extents)
    (out / "habits.png").write_bytes(habit_histograms(habits, _SHOWN))
    (out / "contact.png").write_bytes(_sheet(chosen, again))
    inks = [item.ink for item in chosen[:pairs]]
    numbers = {
        "bank": _bank_numbers(glyphs),
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


def _bank(path: Path | None, items: list[Sourced]) -> GlyphBank:
    if path is not None and path.is_file():
        return GlyphBank.load(path)
    found = cut_bank(items)
    if path is not None:
        found.save(path)
    return found


def _again(composer: Composer, items: list[Sourced], rng: np.random.Generator) -> list[Ink]:
    return [composer.write(parse(item.tokens), rng).ink for item in items]


def _sheet(chosen: list[Sourced], again: dict[str, list[Ink]]) -> bytes:
    rows = [n for n, item in enumerate(chosen[:_MEASURED]) if 8 <= len(item.tokens) <= 36][:_ROWS]
    inks = [[chosen[n].ink, *(found[n] for found in again.values())] for n in rows]
    pictures = [[on_paper(render(ink, 16).image) for ink in row] for row in inks]
    return picture_grid(pictures, ["real", *again], cell=(3.5, 1.25))


def habit_histograms(
    series: Mapping[str, Mapping[str, Sequence[float]]], names: Sequence[str], across: int = 4
) -> bytes:
    """A PNG with a panel per habit: the distribution of each series in it, on one scale.

    Args:
        series: title to habit name to values; the first series sets the range.
        names: the habits to show; those missing in the first series are left out.
        across: panels in a row.
    """
    first = next(iter(series.values()))
    shown = [name for name in names if len(first.get(name, ())) > 1]
    down = -(-len(shown) // across)
    figure = new_figure(3.0 * across, 1.9 * down + 0.5)
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
    for number, name in enumerate(shown):
        axes = figure.add_subplot(down, across, number + 1)
        low, high = np.quantile(np.array(first[name]), (0.01, 0.99)).tolist()
        bins = np.linspace(low, max(high, low + 1e-3), 37)
        for (title, habits), color in zip(series.items(), SERIES, strict=False):
            values = np.array(habits.get(name, ()))
            if not len(values):
                continue
            counts = np.histogram(values, bins)[0] / len(values)
            axes.stairs(counts, bins, color=color, label=title, linewidth=1.3)
        axes.set_title(name, fontsize=8.5, color=TEXT, fontfamily=SANS, loc="left")
        axes.set_yticks([])
        axes.tick_params(labelsize=7, colors=MUTED, length=2, labelfontfamily=SANS)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        if number == 0:
            axes.legend(prop={"family": SANS, "size": 7}, labelcolor=MUTED, frameon=False)
    return to_png(figure)


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
        "mean_ks": round(float(np.mean([d.ks for d in found])), 3),
        "by_habit": {d.name: [round(x, 2) for x in (d.real, d.composed, d.ks)] for d in found},
    }


@app.command()
def tokens(
    train: Annotated[Path, typer.Argument(help="Training split of a dataset with ink.")],
    out: Annotated[Path, typer.Argument(help="Folder for the picture and the numbers.")],
    count: Annotated[int, typer.Option(help="Expressions of each generator.")] = 3000,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Count tokens and time."""
    text = json.dumps(_measure_tokens(train, out, count, seed), indent=1)
    (out / "tokens.json").write_text(text + "\n")
    typer.echo(text)


def _measure_tokens(train: Path, out: Path, count: int, seed: int) -> dict[str, object]:
    """Draw `tokens.png` into `out`, and return the numbers."""
    material = read_material(train)
    shares = {"training captions": _shares(material.tokens)}
    for name in _GENERATORS:
        weights = dict.fromkeys(_GENERATORS, 0.0) | {name: 1.0}
        written = _write(_made(material, weights), count, seed)
        shares[name] = _shares([one.tokens for one in written])
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokens.png").write_bytes(to_png(_token_figure(shares)))
    real = shares["training captions"]
    rare = {token for token, share in real.items() if share < _RARE}
    return {
        "expressions": count,
        "tokens": len(real),
        "rare_tokens": len(rare),
        "rare_share": {
            name: round(sum(found.get(token, 0.0) for token in rare), 5)
            for name, found in shares.items()
        },
        "times_as_often_in_the_median": {
            name: round(float(np.median([found.get(t, 0.0) / real[t] for t in rare])), 2)
            for name, found in shares.items()
        },
        "never_written": {
            name: sorted(real.keys() - found.keys()) for name, found in shares.items()
        },
        "speed": _mixture_speed(_made(material, _IN_TRAINING), seed),
    }


def _token_figure(shares: Mapping[str, Mapping[str, float]]) -> Figure:
    """Shares of tokens, by falling share in the first series; one colour a series."""
    first = next(iter(shares.values()))
    order = sorted(first, key=lambda token: -first[token])
    figure = new_figure(_WIDTH, 2.9 * _ROWS)
    figure.set_layout_engine("constrained", h_pad=0.1)
    for row, part in enumerate(np.array_split(np.arange(len(order)), _ROWS)):
        axes = figure.add_subplot(_ROWS, 1, row + 1)
        names = [order[i] for i in part.tolist()]
        x = np.arange(len(names))
        for (title, found), color, mark in zip(shares.items(), SERIES, "sovd", strict=False):
            values = [max(found.get(name, 0.0), _FLOOR) for name in names]
            axes.plot(x, values, mark, color=color, markersize=4, label=title, alpha=0.9)
        axes.set_yscale("log")
        axes.set_ylim(_FLOOR / 1.3, 0.15)
        axes.set_xlim(-1, len(names))
        axes.set_xticks(x, [name.replace("$", r"\$") for name in names], rotation=90)
        axes.tick_params(labelsize=7, colors=MUTED, length=2, labelfontfamily=SANS)
        axes.grid(axis="both", color="0.93", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        if row == 0:
            axes.set_title(
                "share of all symbols", fontsize=9, color=TEXT, fontfamily=SANS, loc="left"
            )
            axes.legend(prop={"family": SANS, "size": 8}, labelcolor=MUTED, frameon=False, ncols=4)
    return figure


def _made(material: TrainingInk, weights: Mapping[str, float]) -> Generators:
    config = GeneratorsConfig.model_validate(dict(weights))
    return Generators(config, material, material.bank, material.held_out or Leakage())


def _write(generators: Generators, count: int, seed: int) -> list[Written]:
    rng = np.random.default_rng(seed)
    made = (generators(rng) for _ in range(count))
    return [written for written in made if written is not None]


def _shares(captions: Sequence[Sequence[str]]) -> dict[str, float]:
    """Of every symbol among all symbols; what leaves no ink is none."""
    counts = Counter(token for tokens in captions for token in tokens if token not in _STRUCTURE)
    return {token: count / counts.total() for token, count in sorted(counts.items())}


def _mixture_speed(generators: Generators, seed: int) -> dict[str, float]:
    """Of one core, in processor time: what it takes to write an expression, and to draw it."""
    _write(generators, 100, seed + 1)
    began = time.process_time()
    written = _write(generators, _DRAWS, seed)
    made = time.process_time()
    for one in written:
        render(one.ink, _UNIT)
    drawn = time.process_time()
    return {
        "written_ms": round(1000 * (made - began) / len(written), 3),
        "drawn_ms": round(1000 * (drawn - made) / len(written), 3),
        "per_second_and_core": round(len(written) / (drawn - began)),
        "none": _DRAWS - len(written),
    }


if __name__ == "__main__":
    app()
