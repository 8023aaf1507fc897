"""`hmer write`: LaTeX to handwriting."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hmer.errors import HmerError

if TYPE_CHECKING:
    from hmer.synthesis.written import Written


def write(
    latex: Annotated[str, typer.Argument(help=r"The expression, for example '\frac{a}{b}'.")],
    out: Annotated[
        Path, typer.Option(help="File to write; .inkml, .png or .svg tells the format.")
    ],
    writer: Annotated[int, typer.Option(min=0, help="Number of the hand.")] = 0,
    bank: Annotated[
        Path | None, typer.Option(help="Glyph bank of real hands; else drawn glyphs.")
    ] = None,
    careful: Annotated[bool, typer.Option(help="Evenly spaced, without sloppiness.")] = False,
    unit: Annotated[
        float, typer.Option(min=4, max=128, help="Pixels per symbol unit, for pictures.")
    ] = 40.0,
) -> None:
    """Write an expression by hand, with the place of every symbol in the InkML."""
    from hmer.synthesis.bank import GlyphBank
    from hmer.synthesis.writing import write_latex

    encode = _encoder(out, writer, unit)
    glyphs = None if bank is None else GlyphBank.load(bank)
    data = encode(write_latex(latex, writer, glyphs, careful))
    _store(out, data)
    sys.stdout.write(f"{out}\n")


def _encoder(out: Path, writer: int, unit: float) -> Callable[[Written], bytes]:
    """What turns the ink into the bytes of the file; HmerError for an unknown format."""

    def inkml(written: Written) -> bytes:
        from hmer.ink.inkml import InkDocument, write_inkml

        latex = " ".join(written.tokens)
        return write_inkml(InkDocument(written.ink, latex, writer=f"hand-{writer}"))

    def png(written: Written) -> bytes:
        from hmer.data.schema import encode_png
        from hmer.ink.render import render

        return encode_png(255 - render(written.ink, unit).image)

    def svg(written: Written) -> bytes:
        from hmer.synthesis.svg import to_svg

        return to_svg(written.ink, unit)

    known = {".inkml": inkml, ".png": png, ".svg": svg}
    encoder = known.get(out.suffix.lower())
    if encoder is None:
        raise HmerError(f"{out}: unknown format {out.suffix!r}; end the name in {', '.join(known)}")
    return encoder


def _store(out: Path, data: bytes) -> None:
    part = out.with_name(out.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(out)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise HmerError(f"{out}: cannot be written ({error.strerror})") from error
