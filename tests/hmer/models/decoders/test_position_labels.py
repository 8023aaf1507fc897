r"""Position-forest labels as tensors; the cases are worked out by hand."""

from __future__ import annotations

import torch

from hmer.latex.vocabulary import vocabulary
from hmer.models.decoders.position_labels import IGNORED, position_targets

WORDS = vocabulary("comer")
IGN = IGNORED


def rows(*captions: str, length: int) -> torch.Tensor:
    """Targets of both directions."""
    forward, backward = [], []
    for caption in captions:
        numbers = WORDS.encode(caption.split())
        rest = [0] * (length - len(numbers) - 1)
        forward.append([*numbers, WORDS.eos, *rest])
        backward.append([*numbers[::-1], WORDS.sos, *rest])
    return torch.tensor([*forward, *backward])


def test_a_script_by_hand() -> None:
    found = position_targets(rows("a ^ { 2 }", length=8), WORDS)
    main, upper, none = [3, 0, 0, 0, 0], [4, 3, 0, 0, 0], [0] * 5
    sos, eos = [1, 0, 0, 0, 0], [2, 0, 0, 0, 0]
    assert found.identifiers.tolist() == [
        [sos, main, main, main, upper, main, none, none],
        [eos, main, upper, main, main, main, none, none],
    ]
    assert found.levels.tolist() == [
        [0, 0, 0, 1, 0, 0, IGN, IGN],
        [0, 1, 0, 0, 0, 0, IGN, IGN],
    ]
    assert found.relatives.tolist() == [
        [3, 3, 3, 4, 3, 2, IGN, IGN],
        [3, 4, 3, 3, 3, 1, IGN, IGN],
    ]


def test_the_paper_s_fraction() -> None:
    found = position_targets(rows(r"\frac { a _ { 1 } } { b }", length=12), WORDS)
    # \frac { a _ { 1 } } { b } <eos>
    assert found.levels[0].tolist() == [0, 0, 1, 1, 1, 2, 1, 0, 0, 1, 0, 0]
    assert found.relatives[0].tolist() == [3, 3, 4, 4, 4, 5, 4, 3, 3, 5, 3, 2]
    assert found.identifiers[0, 6].tolist() == [4, 5, 3, 0, 0]  # of `1`
    assert found.identifiers[0, 10].tolist() == [5, 3, 0, 0, 0]  # of `b`


def test_deep_captions_are_cut_off() -> None:
    deep = "a" + " ^ { b" * 6 + " }" * 6
    found = position_targets(rows(deep, length=28), WORDS)
    assert int(found.levels[0].max()) == 4
    assert found.identifiers[0, 25 - 6].tolist() == [4, 4, 4, 4, 4]


def test_a_broken_caption_has_no_labels_and_harms_no_other() -> None:
    both = position_targets(rows("a ^ { 2", "b", length=6), WORDS)
    alone = position_targets(rows("b", length=6), WORDS)
    for row in (0, 2):
        assert not both.identifiers[row].any()
        assert set(both.levels[row].tolist()) == {IGN} == set(both.relatives[row].tolist())
    for found, single in zip(both, alone, strict=True):
        assert torch.equal(found[1::2], single)
