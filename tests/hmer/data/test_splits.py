import numpy as np
import pytest

from hmer.data.splits import position, split_of

WRITERS = [f"writer {n}" for n in range(4000)]


def test_share_is_kept_on_average() -> None:
    for share in (0.0, 0.1, 0.5, 1.0):
        found = np.mean([split_of(writer, share) == "val" for writer in WRITERS])
        assert found == pytest.approx(share, abs=0.02)


def test_larger_shares_only_add() -> None:
    small = {w for w in WRITERS if split_of(w, 0.05) == "val"}
    large = {w for w in WRITERS if split_of(w, 0.1) == "val"}
    assert small < large


def test_sides_never_change() -> None:
    # First six bytes of SHA-256 (FIPS 180-2 test vector "abc": ba7816bf8f01...), as a fraction.
    assert position("abc") == pytest.approx(0xBA7816BF8F01 / 2**48)


def test_any_name_has_a_side() -> None:
    assert {split_of(name, 0.5) for name in ("", "é", "\ud800", "a\0b")} <= {"train", "val"}


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_shares_are_shares(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        split_of("x", share)
