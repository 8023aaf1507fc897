"""Any labelled set of handwriting, read for scoring without becoming a dataset first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from hmer.data.schema import Sample, decode_png
from hmer.errors import HmerError
from hmer.ingest.archive import Member, spread
from hmer.ingest.convert import Converter
from hmer.ingest.pool import ordered_map
from hmer.ingest.sources.crohme import NO_LABEL, ReadInkml, read_captions
from hmer.ink.inkml import looks_like_ink
from hmer.ink.render import RenderConfig

_SUFFIX = ".inkml"


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
    unmatched: list[str] = field(default_factory=list)
    """Ids of captions that no file has; not looked for where only a part is read."""


def read_labelled(
    path: Path,
    render: RenderConfig,
    dialect: str,
    captions: Path | None = None,
    limit: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
) -> LabelledSet:
    """Read a folder or package (.zip, .tar.gz, .tar.xz) of labelled InkML, whatever its ending.

    Args:
        path: the folder or package; subfolders are searched.
        render: scale to draw at: the recogniser's own.
        dialect: of the captions: the recogniser's own.
        captions: lines of an id, a tab and LaTeX, in place of the truths in the files.
        limit: so many files at most, spread evenly.
        workers: processes.
        progress: told how many files are read.

    Raises:
        HmerError: the path is missing, or holds no expression with a truth; the captions cannot
            be read, or none of their ids is that of a file.
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
    unused = set(own)
    for number, converted in enumerate(
        ordered_map(converter, _tasks(path, own, limit), workers), start=1
    ):
        unused -= _names(converted.file)
        result = converted.result
        if isinstance(result, Sample):
            found.ids.append(unique(result.id, converted.file))
            found.truths.append(tuple(result.tokens))
            found.images.append(decode_png(result.image))
        elif NO_LABEL in result.reason:
            found.unlabelled.append(result.id)
        else:
            found.refused[unique(result.id, converted.file)] = result.reason
        if progress is not None:
            progress(number, None)
    if own and len(unused) == len(own):
        raise HmerError(
            f"--captions: none of the {len(own)} ids of {captions} is that of a file in {path}; "
            f"the first is {next(iter(own))!r}"
        )
    found.unmatched = [] if limit else [id for id in own if id in unused]
    if not found.ids and not found.refused:
        reason = f"none of its {number} InkML files has a label" if number else "it has no InkML"
        raise HmerError(f"{path}: nothing to score: {reason}; name a labelled folder or package")
    return found


def _tasks(
    path: Path, captions: Mapping[str, tuple[str, ...]], limit: int | None
) -> Iterator[ReadInkml]:
    """One task per file."""
    for member in spread(path, "", "PATH", limit, _is_ink):
        names = _names(member.name)
        caption = next((captions[name] for name in names if name in captions), None)
        yield ReadInkml(member.name, member.data, "test", caption)


def _names(file: str) -> set[str]:
    """What captions may call a file."""
    return {PurePosixPath(file).stem, PurePosixPath(file).name}


def _is_ink(member: Member) -> bool:
    return member.name.lower().endswith(_SUFFIX) or looks_like_ink(member.data)
