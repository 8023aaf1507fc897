"""Studies as files: the shipped ones are sound, and every mistake is one clear line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hmer.errors import HmerError
from pipeline.study.config import FOLDER, load_study

SOUND = """
title: A study
configuration: default
seeds: [0, 1]
metrics: [{name: exprate, heading: ExpRate}]
reference: plain
variants:
  plain: {describe: as it is}
  other: {describe: another}
report: b
"""


def write(root: Path, text: str, name: str = "mine") -> Path:
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    (root / FOLDER / f"{name}.yaml").write_text(text)
    return root


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("reference: plain", "reference: plan"), "'plan' is none of plain, other"),
        (("seeds: [0, 1]", "seeds: [1, 1]"), "seeds are different whole numbers"),
        (("seeds: [0, 1]", "seeds: [-1]"), "seeds are different whole numbers"),
        (("seeds: [0, 1]", "seed: [0]"), "seed is not a parameter; did you mean seeds?"),
        (("  other:", "  Other One:"), "'Other One': a name has small letters"),
        (("another}", "another, settings: {base: {seed: 3}}}"), "other sets base.seed"),
        (("another}", "another, against: plan}"), "variants.other.against: 'plan' is none of"),
        (("exprate,", "exprate, best: true,"), "metrics.0.best is not a parameter"),
        (("report: b", "report: ../b"), "report = '../b'"),
        (("title: A study\n", ""), "title is missing"),
        (("title: A study", "title: [a"), "is not valid YAML"),
    ],
)
def test_a_mistake_is_one_line(change: tuple[str, str], told: str, tmp_path: Path) -> None:
    assert change[0] in SOUND
    root = write(tmp_path, SOUND.replace(*change))
    with pytest.raises(HmerError) as caught:
        load_study(root, "mine")
    assert told in str(caught.value)
    assert "mine.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_study_lists_the_known(tmp_path: Path) -> None:
    root = write(tmp_path, SOUND, "mask-match")
    shutil.copy(root / FOLDER / "mask-match.yaml", root / FOLDER / "synthesis.yaml")
    with pytest.raises(HmerError, match="among mask-match, synthesis; did you mean mask-match"):
        load_study(root, "maskmatch")


def test_a_curve_of_levels_has_one_variant_per_line(tmp_path: Path) -> None:
    curve = "curves: [{title: t, x: x, metric: a.b, lines: {both: [plain, other]}}]\n"
    with pytest.raises(HmerError, match="line both: without `parameter`"):
        load_study(write(tmp_path, SOUND + curve), "mine")
