from __future__ import annotations

import html
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import strategies as st

from hmer.ingest.archive import read_members
from hmer.latex.tree import Node, Relation, Row

_TRUTH = re.compile(rb'<annotation\s+type="truth"\s*>(.*?)</annotation>', re.DOTALL)
_SYMBOLS = st.sampled_from(["x", "1", "+", "[", "\\sum", "\\int", "\\alpha", "'", "\\{", "\\log"])
_SCRIPTS = st.sampled_from(
    [
        (),
        (Relation.SUB,),
        (Relation.SUP,),
        (Relation.SUB, Relation.SUP),
        (Relation.SUP, Relation.SUB),
    ]
)
_LIMITS = st.sampled_from([(Relation.BELOW,), (Relation.BELOW, Relation.ABOVE)])


def _join(draw: st.DrawFn, rows: st.SearchStrategy[Row], relations: Sequence[Relation]) -> Node:
    return Node("", tuple((relation, draw(rows)) for relation in relations))


@st.composite
def _nodes(draw: st.DrawFn, rows: st.SearchStrategy[Row]) -> Node:
    """A node of any kind the grammar knows, with rows from `rows`."""
    kind = draw(
        st.sampled_from(["symbol", "limits", "frac", "sqrt", "root", "group", "accent", "matrix"])
    )
    parts = {
        "frac": (Relation.ABOVE, Relation.BELOW),
        "sqrt": (Relation.INSIDE,),
        "root": (Relation.INDEX, Relation.INSIDE),
        "group": (Relation.INSIDE,),
        "accent": (Relation.INSIDE,),
        "matrix": (Relation.INSIDE,),
    }.get(kind, ())
    names = {"frac": "\\frac", "sqrt": "\\sqrt", "root": "\\sqrt", "group": "", "accent": "\\bar"}
    names["matrix"] = "\\matrix"
    scripts = draw(_LIMITS if kind == "limits" else _SCRIPTS)
    node = _join(draw, rows, (*parts, *scripts))
    return Node(names[kind] if kind in names else draw(_SYMBOLS), node.children)


@pytest.fixture(scope="session")
def trees() -> st.SearchStrategy[Row]:
    """Random trees that have a spelling."""
    leaf: st.SearchStrategy[Row] = st.lists(st.builds(Node, _SYMBOLS), max_size=3).map(tuple)
    return st.recursive(
        leaf, lambda inner: st.lists(_nodes(inner), max_size=4).map(tuple), max_leaves=12
    )


class Caption(NamedTuple):
    """A raw truth and the literature's caption of the same file."""

    name: str
    raw: str
    caption: str


@pytest.fixture(scope="session")
def literature() -> dict[str, list[Caption]]:
    """By split of CROHME, in the order of the captions."""
    folder = Path(os.environ.get("CROHME_DIR", ""))
    if not (folder / "captions").is_dir():
        pytest.skip("CROHME_DIR does not name a folder with captions/ and the CROHME packages")
    found = {}
    for split in ("train", "test2014"):
        truths = {}
        for member in read_members(folder / f"{split}.tar.xz", ".inkml", "CROHME_DIR"):
            if truth := _TRUTH.search(member.data):
                truths[Path(member.name).stem] = html.unescape(truth[1].decode(errors="replace"))
        lines = (folder / f"captions/{split}.txt").read_text().splitlines()
        named = (line.partition("\t") for line in lines)
        found[split] = [Caption(name, truths[name], caption) for name, _, caption in named]
    return found
