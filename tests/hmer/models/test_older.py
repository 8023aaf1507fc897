"""Configurations of recognisers that were saved by earlier code."""

from __future__ import annotations

from hmer.models.mask_match import MaskMatchConfig
from hmer.models.older import as_it_was


def test_a_mask_match_recogniser_without_coverage_stays_one() -> None:
    saved = MaskMatchConfig().model_dump(mode="json")
    del saved["decoder"]["coverage"]
    built = MaskMatchConfig.model_validate(as_it_was("mask-match", saved))
    assert built.decoder.coverage == 0
    assert built.model_copy(update={"decoder": MaskMatchConfig().decoder}) == MaskMatchConfig()


def test_what_a_configuration_says_counts() -> None:
    saved = MaskMatchConfig().model_dump(mode="json")
    assert as_it_was("mask-match", saved) == saved
    assert as_it_was("comer", {"decoder": {"layers": 1}}) == {"decoder": {"layers": 1}}


def test_damaged_configurations_are_left_to_their_check() -> None:
    assert as_it_was("mask-match", {"decoder": 3}) == {"decoder": 3}
    assert as_it_was("mask-match", {}) == {}
    assert as_it_was("mask-match", ["decoder"]) == ["decoder"]
