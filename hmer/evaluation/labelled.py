"""Any labelled set of handwriting, read for scoring without becoming a dataset first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from hmer.data.convert import Converter
from hmer.data.pool import ordered_map
from hmer.data.schema import Sample, decode_png
from hmer.data.sources.crohme import ReadInkml, read_captions
from hmer.data.spread import spread
from hmer.errors import HmerError
from hmer.ink.render import RenderConfig

SUFFIX = ".inkml"
NO_TRUTH = "there is no truth annotation"


@dataclass
class LabelledSet:
    """Truths with images, and what could not be read."""

    ids: list[str] = field(default_factory=list)
    truths: list[tuple[str, ...]] = field(default_factory=list)
    images: list[NDArray[np.uint8]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """Id and reason of expressions with a truth that cannot be read: they count as wrong."""
    unlabelled: list[str] = field(default_factory=list)
    """Ids without a truth: they do not count."""


def read_labelled(
    path: Path,
    render: RenderConfig,
    dialect: str,
    captions: Path | None = None,
    limit: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
) -> LabelledSet:
    """Read a folder or package (.zip, .tar.gz, .tar.xz) of labelled InkML.

    Args:
        path: the folder or package; subfolders are searched.
        render: scale to draw at: the recogniser's own.
        dialect: of the captions: the recogniser's own.
        captions: lines of an id, a tab and tokens, in place of the truths in the files.
        limit: so many files at most, spread evenly.
        workers: processes.
        progress: told how many files are read.

    Raises:
        HmerError: the path is missing, or holds no expression with a truth.
    """
    seen: set[str] = set()

    def unique(id: str, file: str) -> str:
        """The id; the file where another expression has the same."""
        name = file if id in seen else id
        seen.add(name)
        return name

    own = read_captions(captions, "--captions") if captions else {}
    converter = Converter(dialect, 0.0, render)
    found = LabelledSet()
    number = 0
    for number, converted in enumerate(
        ordered_map(converter, _tasks(path, own, limit), workers), start=1
    ):
        result = converted.result
        if isinstance(result, Sample):
            found.ids.append(unique(result.id, converted.file))
            found.truths.append(tuple(result.tokens))
            found.images.append(decode_png(result.image))
        elif NO_TRUTH in result.reason:
            found.unlabelled.append(result.id)
        else:
            found.refused[unique(result.id, converted.file)] = result.reason
        if progress is not None:
            progress(number, None)
    if not found.ids and not found.refused:
        reason = f"none of its {number} InkML files has a truth" if number else "it has no InkML"
        raise HmerError(f"{path}: nothing to score: {reason}; name a labelled folder or package")
    return found


def _tasks(
    path: Path, captions: Mapping[str, tuple[str, ...]], limit: int | None
) -> Iterator[ReadInkml]:
    """One task per file."""
    for member in spread(path, SUFFIX, "PATH", limit):
        name = PurePosixPath(member.name).stem
        yield ReadInkml(member.name, member.data, "test", captions.get(name))
