"""Leakage and repetition between rows, on tables small enough to judge by eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from hmer.data.facts import FINGERPRINT_BYTES
from hmer.data.overlap import overlap, similarity
from hmer.data.profile import Profile

COLUMNS = ["file", "id", "writer", "label_hash", "image_hash", "tokens"]


def made(
    rows: Sequence[tuple[str, str, str | None, int, int, int]],
    fingerprints: NDArray[np.uint8] | None = None,
) -> Profile:
    if fingerprints is None:
        rng = np.random.default_rng(0)
        fingerprints = rng.integers(0, 256, (len(rows), FINGERPRINT_BYTES), np.uint8)
    return Profile(pd.DataFrame(rows, columns=COLUMNS), fingerprints, {}, pd.DataFrame())


def column(profile: Profile, name: str) -> list[str]:
    return list(overlap(profile, 0.95)[name])


def test_writers_on_both_sides() -> None:
    profile = made(
        [
            ("train", "a", "anna", 1, 11, 3),
            ("val", "b", "anna", 2, 12, 3),
            ("val", "c", "bert", 3, 13, 3),
            ("test-1", "d", "bert", 4, 14, 3),
            ("test-1", "e", "carl", 5, 15, 3),
            ("test-2", "f", "carl", 6, 16, 3),  # two test sets may share a writer
            ("train", "g", None, 7, 17, 3),
            ("val", "h", None, 8, 18, 3),  # nobody knows
        ]
    )
    assert column(profile, "writer_leak") == ["", "train/anna", "", "val/bert", *[""] * 4]


def test_pictures_on_both_sides_and_within() -> None:
    profile = made(
        [
            ("train", "a", "w", 1, 11, 3),
            ("train", "b", "w", 1, 11, 3),
            ("val", "c", "w", 1, 11, 3),
            ("test", "d", "w", 2, 11, 3),
            ("test", "e", "w", 2, 0, 3),  # no picture
            ("test", "f", "w", 2, 0, 3),
        ]
    )
    assert column(profile, "image_leak") == ["", "", "train/a", "train/a", "", ""]
    assert column(profile, "repeats") == ["", "train/a", "", "", "", ""]
    assert column(profile, "contradicts") == ["", "", "", "train/a", "", ""]


def test_ids_repeat_within_a_split_only() -> None:
    rows = [("train", "a", "w", n, n, 3) for n in (1, 2)] + [("val", "a", "w", 3, 3, 3)]
    assert column(made(rows), "id_repeats") == ["", "train/a", ""]


def test_labels_seen_in_train() -> None:
    profile = made(
        [
            ("train", "a", "w", 1, 1, 3),
            ("train", "b", "w", 1, 2, 3),
            ("val", "c", "v", 1, 3, 3),
            ("test", "d", "u", 2, 4, 3),
        ]
    )
    assert list(overlap(profile, 0.95)["label_seen"]) == [False, False, True, False]


def test_near_duplicates_need_the_same_label_and_an_earlier_split() -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(20, 230, FINGERPRINT_BYTES).astype(np.uint8)
    noisy = picture + rng.integers(0, 20, FINGERPRINT_BYTES).astype(np.uint8)
    other = rng.integers(0, 256, FINGERPRINT_BYTES).astype(np.uint8)
    profile = made(
        [
            ("train", "a", "w", 1, 11, 3),
            ("train", "b", "w", 1, 12, 3),  # near, but of the same split
            ("val", "c", "v", 1, 13, 3),
            ("val", "d", "v", 1, 14, 3),  # the same label, another hand
            ("val", "e", "v", 2, 15, 3),  # near, another label
            ("val", "f", "v", 1, 11, 3),  # the very same picture: told as image_leak
        ],
        np.stack([other, picture, noisy, rng.permutation(picture), noisy, other]),
    )
    assert column(profile, "near_leak") == ["", "", "train/b", "", "", ""]


def test_single_tokens_are_never_near_duplicates() -> None:
    rows = [("train", "a", "w", 1, 11, 1), ("val", "b", "v", 1, 12, 1)]
    prints = np.tile(np.arange(FINGERPRINT_BYTES).astype(np.uint8), (2, 1))
    assert column(made(rows, prints), "near_leak") == ["", ""]


def test_similarity_is_the_correlation() -> None:
    rng = np.random.default_rng(2)
    one, many = (rng.integers(0, 256, shape).astype(np.uint8) for shape in (50, (4, 50)))
    expected = [np.corrcoef(one, other)[0, 1] for other in many]
    assert similarity(one, many) == pytest.approx(expected, abs=1e-5)
    assert similarity(one, one[None])[0] == pytest.approx(1)
    assert similarity(np.full(50, 9, np.uint8), many) == pytest.approx([0] * 4)
