"""`hmer write`: LaTeX to handwriting, and handwriting to more of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hmer.commands.output import check_file, check_folder
from hmer.errors import HmerError
from hmer.files import atomic_file

if TYPE_CHECKING:
    from hmer.synthesis.base import Written


class Generator(StrEnum):
    """What makes new expressions of a training split."""

    DECOMPOSE = "decompose"
    RECOMBINE = "recombine"
    COMPOSE = "compose"
    ALL = "all"


def write(
    out: Annotated[
        Path,
        typer.Option(
            help="File to write; .inkml, .png or .svg tells the format. With --from a folder, or a "
            "package: .tar, .tar.gz, .tar.xz or .zip."
        ),
    ],
    latex: Annotated[
        str | None, typer.Argument(help=r"The expression, for example '\frac{a}{b}'.")
    ] = None,
    writer: Annotated[int, typer.Option(min=0, help="Number of the hand.")] = 0,
    bank: Annotated[
        Path | None,
        typer.Option(
            help="Glyphs of real hands, for LATEX: a glyph bank, or the train.parquet to cut one "
            "from. Without it glyphs are drawn."
        ),
    ] = None,
    careful: Annotated[bool, typer.Option(help="Evenly spaced, without sloppiness.")] = False,
    unit: Annotated[
        float, typer.Option(min=4, max=128, help="Pixels per symbol unit, for pictures.")
    ] = 40.0,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Instead of LATEX: training data to make new expressions of, the train.parquet of "
            "a data set, or a folder or package of InkML.",
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many, with --from.")] = 1000,
    generator: Annotated[
        Generator,
        typer.Option(
            help="With --from: cut pieces out, exchange parts, write new LaTeX, or all three."
        ),
    ] = Generator.ALL,
    seed: Annotated[int, typer.Option(min=0, help="With --from: other ones.")] = 0,
    held_out: Annotated[
        Path | None,
        typer.Option(
            help="With --from: held_out.json with the captions that must not be written; for a "
            "data set its own."
        ),
    ] = None,
) -> None:
    """Write an expression by hand, or many like those of a data set, as InkML with all symbols."""
    if (latex is None) == (source is None):
        raise HmerError("say either what to write, as LaTeX, or --from which data to make more of")
    if source is not None:
        if bank is not None:
            raise HmerError("--bank goes with LATEX; with --from glyphs are cut from there")
        _write_many(source, out, count, generator, seed, held_out)
        return
    assert latex is not None
    from hmer.synthesis.glyphs.cache import open_bank
    from hmer.synthesis.render_latex import write_latex

    encode = _encoder(out, writer, unit)
    check_file(out, "--out")
    glyphs = None if bank is None else open_bank(bank)
    data = encode(write_latex(latex, writer, glyphs, careful))
    try:
        with atomic_file(out) as partial:
            partial.write_bytes(data)
    except OSError as error:
        raise HmerError(f"{out}: cannot be written ({error.strerror})") from error
    sys.stdout.write(f"{out}\n")


def _write_many(
    source: Path,
    out: Path,
    count: int,
    generator: Generator,
    seed: int,
    held_out: Path | None,
) -> None:
    from hmer.ingest.material import read_material
    from hmer.synthesis.base import Leakage
    from hmer.synthesis.generators import Generators, GeneratorsConfig
    from hmer.synthesis.output import check_package, write_collection

    check_package(out)
    check_folder(out.parent if out.suffix else out, "--out")
    train = read_material(source, held_out=held_out)
    chosen = [name for name in Generator if name is not Generator.ALL]
    weights = {name.value: float(generator in (name, Generator.ALL)) for name in chosen}
    config = GeneratorsConfig.model_validate(weights)
    generators = Generators(config, train, train.bank, train.held_out or Leakage())
    writers = [item.writer for item in train.items]
    summary = write_collection(generators, train.tokens, writers, count, seed, out, train.dialect)
    left_out = sum(summary.contradictory.values())
    unknown = "; nothing told what is held out (--held-out)" if train.held_out is None else ""
    sys.stdout.write(
        f"{out}: {sum(summary.by_generator.values())} expressions, {summary.captions} captions, "
        f"of which {summary.new_captions} are new; {summary.excluded} times a held-out "
        f"caption came up; {left_out} left out{unknown}\n"
    )


def _encoder(out: Path, writer: int, unit: float) -> Callable[[Written], bytes]:
    """What turns the ink into the bytes of the file; HmerError for an unknown format."""

    def inkml(written: Written) -> bytes:
        from hmer.synthesis.output import to_inkml

        return to_inkml(written, f"hand-{writer}")

    def png(written: Written) -> bytes:
        from hmer.ink.images import encode_png
        from hmer.ink.render import render

        return encode_png(255 - render(written.ink, unit).image)

    def svg(written: Written) -> bytes:
        from hmer.synthesis.output import to_svg

        return to_svg(written.ink, unit)

    known = {".inkml": inkml, ".png": png, ".svg": svg}
    encoder = known.get(out.suffix.lower())
    if encoder is None:
        raise HmerError(f"{out}: unknown format {out.suffix!r}; end the name in {', '.join(known)}")
    return encoder
