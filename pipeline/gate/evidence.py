"""What the gate judges: tables of facts about a dataset, one per suite of expectations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hmer.data.schema import read_quarantine
from hmer.errors import HmerError
from hmer.ingest.statistics import (
    Profile,
    Progress,
    jensen_shannon,
    overlap,
    population_stability,
    profile,
    split_order,
)
from hmer.latex.vocabulary import Vocabulary
from pipeline.gate.expectations import Suite, ValidateConfig


@dataclass(slots=True)
class Evidence:
    """The tables that expectations assert on, one per suite, and the profile behind them."""

    profile: Profile
    frames: dict[Suite, pd.DataFrame]
    quarantine: pd.DataFrame  # id, file, reason


def gather(dataset: Path, config: ValidateConfig, progress: Progress | None = None) -> Evidence:
    """Read a dataset and compute everything that is asserted on.

    Raises:
        HmerError: there is no dataset, or its vocabulary or quarantine cannot be read.
    """
    vocabulary = _vocabulary(dataset / "vocabulary.json")
    quarantine = _quarantine(dataset / "quarantine.parquet")
    facts = profile(dataset, vocabulary.tokens, config.workers, progress, vocabulary.name)
    samples = pd.concat([facts.rows, overlap(facts, config.near_similarity)], axis=1)
    samples["split_error"] = [
        "" if split == file else f"says {split}, lies in {file}"
        for split, file in zip(samples["split"], samples["file"], strict=True)
    ]
    samples["noise"] = _noise(dataset / "label_noise.parquet", samples)
    frames: dict[Suite, pd.DataFrame] = {
        "dataset": _dataset_frame(len(samples), len(quarantine)),
        "files": facts.files.rename(columns={"file": "id"}),
        "splits": split_frame(samples, facts.tokens, config),
        "samples": samples,
        "symbols": symbol_frame(vocabulary.tokens, facts.tokens),
    }
    return Evidence(facts, frames, quarantine)


def _vocabulary(path: Path) -> Vocabulary:
    try:
        return Vocabulary.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HmerError(f"{path}: {error.strerror}; run the ingest stage first") from error
    except (HmerError, UnicodeDecodeError) as error:
        raise HmerError(f"{path}: {error}; run the ingest stage again") from error


def _quarantine(path: Path) -> pd.DataFrame:
    entries = [(entry.id, entry.file, entry.reason) for entry in read_quarantine(path)]
    return pd.DataFrame(entries, columns=["id", "file", "reason"], dtype="str")


def _noise(path: Path, samples: pd.DataFrame) -> list[str]:
    """What ingestion found to contradict itself in the annotations of each row, "" for nothing."""
    entries = read_quarantine(path) if path.is_file() else ()
    found = {(entry.split, entry.id): entry.reason for entry in entries}
    return [found.get(key, "") for key in zip(samples["split"], samples["id"], strict=True)]


def _dataset_frame(rows: int, quarantined: int) -> pd.DataFrame:
    share = quarantined / max(1, rows + quarantined)
    return pd.DataFrame({"id": ["dataset"], "quarantine_share": [share]})


def split_frame(
    samples: pd.DataFrame, tokens: dict[str, Counter[str]], config: ValidateConfig
) -> pd.DataFrame:
    """One line per split that is there or must be: counts, overlap with and drift from train."""
    groups = {str(name): group for name, group in samples.groupby("file", sort=False)}
    names = sorted({"train", "val", *groups}, key=split_order)
    if config.needs_test and not any(name.startswith("test") for name in names):
        names.append("test")
    train = groups.get("train", samples.iloc[:0])
    lines = []
    for name in names:
        rows = groups.get(name, samples.iloc[:0])
        wanted = config.min_train_rows if name == "train" else config.min_rows
        writers = rows["writer"]
        lines.append(
            {
                "id": name,
                "rows": len(rows),
                "too_few": f"{len(rows)} rows, {wanted} wanted" if len(rows) < wanted else "",
                "writers": writers.nunique(),
                "unknown_writers": round(float(writers.isna().mean()), 6) if len(rows) else None,
                "labels": rows["label_hash"].nunique(),
                "label_overlap": round(float(rows["label_seen"].mean()), 6)
                if len(rows) and name != "train"
                else None,
                **_drift(train, rows, tokens.get("train"), tokens.get(name), config),
            }
        )
    frame = pd.DataFrame(lines)
    numbers = [column for column in frame.columns if column not in ("id", "too_few")]
    return frame.astype(dict.fromkeys(numbers, "float64"))


def _drift(
    train: pd.DataFrame,
    rows: pd.DataFrame,
    train_tokens: Counter[str] | None,
    tokens: Counter[str] | None,
    config: ValidateConfig,
) -> dict[str, float | None]:
    if rows is train or not train_tokens or not tokens or len(rows) < config.min_drift_rows:
        return {"symbol_drift": None, "length_drift": None, "size_drift": None}
    height, width, length = (
        population_stability(train[name], rows[name]) for name in ("height", "width", "tokens")
    )
    return {
        "symbol_drift": jensen_shannon(train_tokens, tokens),
        "length_drift": length,
        "size_drift": max(height, width),
    }


def symbol_frame(vocabulary: Iterable[str], tokens: dict[str, Counter[str]]) -> pd.DataFrame:
    """One line per token of the vocabulary or the labels.

    `train` and `later` count it in train and in the other splits; `needed` is its count in train
    where another split uses it, else NaN.
    """
    train = tokens.get("train", Counter())
    later = sum((counts for split, counts in tokens.items() if split != "train"), Counter())
    names = sorted({*vocabulary, *train, *later})
    return pd.DataFrame(
        {
            "id": names,
            "train": [train[name] for name in names],
            "later": [later[name] for name in names],
            "needed": [float(train[name]) if later[name] else math.nan for name in names],
        }
    )
