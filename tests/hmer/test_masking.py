"""Hidden blocks of ink, and how many when."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from hmer.masking import Curriculum, Shape, choose, hidden_share, hide_ink


def drawings(seed: int, count: int, height: int, width: int) -> Tensor:
    """Sparse grey ink on black."""
    generator = torch.Generator().manual_seed(seed)
    grey = torch.rand(count, 1, height, width, generator=generator)
    inked = torch.rand(count, 1, height, width, generator=generator) < 0.06
    images = grey * inked
    images[:, :, height // 2, width // 2] = 1.0
    return images


def blocks(image: Tensor, block: int, top: int, left: int) -> list[tuple[slice, slice]]:
    """The blocks with ink in a grid of which one corner lies `top`, `left` outside (h, w)."""
    height, width = image.shape
    places = [
        (slice(max(y, 0), y + block), slice(max(x, 0), x + block))
        for y in range(-top, height, block)
        for x in range(-left, width, block)
    ]
    return [place for place in places if image[place].sum() > 0]


def is_right(image: Tensor, hidden: Tensor, share: float, block: int) -> bool:
    """Whether `hidden` (h, w) is a union of inked blocks of some grid, as many as needed."""
    total = float(image.double().sum())
    for top in range(block):
        for left in range(block):
            inked = blocks(image, block, top, left)
            gone = [place for place in inked if hidden[place].any()]
            union = torch.zeros_like(hidden)
            for place in gone:
                union[place] = True
            if not torch.equal(union, hidden):
                continue
            lost = [float(image[place].double().sum()) for place in gone]
            if len(gone) == len(inked):
                continue  # nothing is left
            least = share * total - 1e-4
            enough = sum(lost) >= least or len(gone) == len(inked) - 1
            if enough and sum(lost) <= share * total + max(lost, default=0.0) + 1e-4:
                return True
    return False


@given(
    seed=st.integers(0, 1000),
    share=st.floats(0.0, 1.0),
    block=st.integers(1, 7),
    height=st.integers(3, 21),
    width=st.integers(3, 30),
)
def test_as_many_inked_blocks_as_needed(
    seed: int, share: float, block: int, height: int, width: int
) -> None:
    images = drawings(seed, 3, height, width)
    before = images.clone()
    torch.manual_seed(seed)
    masked, hidden = hide_ink(images, share, block)
    assert torch.equal(images, before)
    assert hidden.shape == images.shape
    assert hidden.dtype == torch.bool
    for b in range(3):
        assert is_right(images[b, 0], hidden[b, 0], share, block)
        for y in range(height):
            for x in range(width):
                wanted = 0.0 if hidden[b, 0, y, x] else float(images[b, 0, y, x])
                assert float(masked[b, 0, y, x]) == wanted


def test_the_share_is_met_where_it_can_be() -> None:
    images = drawings(1, 8, 40, 61)
    total = images.sum(dim=(1, 2, 3))
    for share in (0.1, 0.5, 0.9):
        masked, _ = hide_ink(images, share, 4)
        lost = (images - masked).sum(dim=(1, 2, 3)) / total
        assert (lost >= share - 1e-5).all()
        assert (lost <= share + 16 / total).all()


def test_the_last_block_with_ink_stays() -> None:
    images = drawings(2, 16, 24, 24)
    for seed in range(5):
        torch.manual_seed(seed)
        masked, hidden = hide_ink(images, 1.0, 5)
        for b in range(16):
            left = torch.nonzero(masked[b, 0])
            assert len(left)
            assert (left.max(dim=0).values - left.min(dim=0).values < 5).all()
            assert hidden[b].any()
    lone = torch.zeros(1, 1, 10, 10)
    lone[0, 0, 4, 4] = 1.0
    masked, hidden = hide_ink(lone, 1.0, 3)
    assert torch.equal(masked, lone)
    assert not hidden.any()


def test_nothing_to_hide() -> None:
    images = drawings(3, 2, 9, 9)
    masked, hidden = hide_ink(images, 0.0, 3)
    assert torch.equal(masked, images)
    assert not hidden.any()
    images[1] = 0.0
    masked, hidden = hide_ink(images, 0.7, 3)
    assert not hidden[1].any()
    assert hidden[0].any()


def test_rows_are_independent_of_each_other() -> None:
    images = drawings(4, 3, 20, 33)
    torch.manual_seed(7)
    _, hidden = hide_ink(images, 0.5, 4)
    images[1] = drawings(5, 1, 20, 33)[0]
    torch.manual_seed(7)
    _, again = hide_ink(images, 0.5, 4)
    assert torch.equal(hidden[[0, 2]], again[[0, 2]])
    assert not torch.equal(hidden[1], again[1])
    _, twins = hide_ink(images[:1].expand(2, -1, -1, -1), 0.5, 4)
    assert not torch.equal(twins[0], twins[1])


def test_the_seed_decides() -> None:
    images = drawings(6, 2, 20, 20)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(hide_ink(images, 0.4, 3)[1])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_refuses(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        hide_ink(drawings(0, 1, 5, 5), share, 2)


def slowly(mass: list[float], share: float, keys: list[float]) -> list[bool]:
    """The rule, piece by piece."""
    inked = [u for u in range(len(mass)) if mass[u] > 0]
    hidden = [False] * len(mass)
    gone = 0.0
    for unit in sorted(inked, key=lambda u: keys[u])[:-1]:
        if gone >= share * sum(mass) * (1 - 1e-6):
            break
        hidden[unit] = True
        gone += mass[unit]
    return hidden


@given(seed=st.integers(0, 10_000), percent=st.integers(0, 100), units=st.integers(1, 9))
def test_is_the_rule(seed: int, percent: int, units: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mass = torch.rand(4, units, generator=generator)
    mass[torch.rand(4, units, generator=generator) < 0.3] = 0.0
    keys = torch.rand(4, units, generator=generator) * 1e9
    share = percent / 100
    found = choose(mass, share, keys)
    own = torch.rand(4, 1, generator=generator, dtype=torch.float64)
    each = choose(mass.double(), own, keys)
    for b in range(4):
        assert found[b].tolist() == slowly(mass[b].tolist(), share, keys[b].tolist())
        assert each[b].tolist() == slowly(mass[b].tolist(), float(own[b]), keys[b].tolist())


def test_by_hand() -> None:
    mass = torch.tensor([[4.0, 0.0, 2.0, 2.0]]).expand(4, -1)
    keys = torch.tensor([[3.0, 0.0, 1.0, 2.0]]).expand(4, -1)
    shares = (0.0, 0.25, 0.26, 1.0)
    found = [choose(mass[:1], share, keys[:1])[0].tolist() for share in shares]
    assert found == [
        [False] * 4,
        [False, False, True, False],
        [False, False, True, True],
        [False, False, True, True],  # the last piece stays
    ]


def test_hidden_share_by_hand() -> None:
    images = torch.zeros(3, 1, 2, 2)
    images[0, 0] = torch.tensor([[1.0, 0.5], [0.0, 0.5]])
    images[1, 0, 0, 0] = 1.0
    hidden = torch.zeros(3, 1, 2, 2, dtype=torch.bool)
    hidden[:, :, 0] = True
    assert hidden_share(images, hidden).tolist() == pytest.approx([0.75, 1.0, 0.0])


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_choosing_refuses(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        choose(torch.ones(1, 2), share, torch.ones(1, 2))


GROWING: tuple[Shape, ...] = ("linear", "fixed")


@pytest.mark.parametrize(
    ("shape", "progress", "share"),
    [
        ("linear", 0.0, 0.1),
        ("linear", 0.25, 0.2),
        ("linear", 1.0, 0.5),
        ("fixed", 0.0, 0.5),
        ("fixed", 0.6, 0.5),
        ("none", 0.0, 0.0),
        ("none", 0.6, 0.0),
        ("none", 1.0, 0.0),
        ("linear", -1.0, 0.1),
        ("linear", 2.0, 0.5),
    ],
)
def test_the_curriculum_by_hand(shape: Shape, progress: float, share: float) -> None:
    curriculum = Curriculum(start=0.1, end=0.5, shape=shape)
    assert curriculum.share(progress) == pytest.approx(share)


@given(
    start=st.floats(0, 0.9),
    end=st.floats(0, 0.9),
    shape=st.sampled_from(GROWING),
    a=st.floats(0, 1),
    b=st.floats(0, 1),
)
def test_never_turns_back_nor_leaves_its_bounds(
    start: float, end: float, shape: Shape, a: float, b: float
) -> None:
    curriculum = Curriculum(start=start, end=end, shape=shape)
    early, late = curriculum.share(min(a, b)), curriculum.share(max(a, b))
    rises = end >= start
    assert (late >= early - 1e-9) if rises else (late <= early + 1e-9)
    assert min(start, end) - 1e-9 <= late <= max(start, end) + 1e-9
    assert curriculum.share(1.0) == pytest.approx(end)


@pytest.mark.parametrize("share", [-0.1, 0.95, 1.0, float("nan"), float("inf")])
def test_no_shares_and_such_as_leave_nothing(share: float) -> None:
    with pytest.raises(ValidationError):
        Curriculum(end=share)


def test_most_of_the_ink_may_go() -> None:
    assert Curriculum(start=0.9, end=0.9).share(0.3) == pytest.approx(0.9)
