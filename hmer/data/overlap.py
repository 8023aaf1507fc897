"""What splits share: writers, pictures, labels. And what repeats within one.

A later split leaks from an earlier one: validation from train, a test set from train or
validation. Two test sets may share what they like (the same writers wrote several of them).
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hmer.data.profile import Profile


def upstream(split: str) -> tuple[str, ...]:
    """The splits that a model has learnt from or been chosen on before it meets `split`."""
    return {"train": (), "val": ("train",)}.get(split, ("train", "val"))


def overlap(profile: Profile, near: float) -> pd.DataFrame:
    """What each row shares with another, named by that other; "" where with none.

    Args:
        profile: the facts of the rows.
        near: fingerprints at least this similar (0 to 1), of one label, are near duplicates.

    Returns:
        One line per row of `profile.rows`, same order, columns:
        `id_repeats` (an earlier row of the split with this id), `repeats` (an earlier row of the
        split with the same picture), `contradicts` (an earlier row of any split with the same
        picture and another label), `writer_leak` (writer who is upstream too), `image_leak`
        (row upstream with the same picture), `near_leak` (row upstream with the same label and a
        nearly equal picture), `label_seen` (bool: the label is in train). Rows and
        writers are named `split/name`.
    """
    rows = profile.rows
    names = [f"{file}/{name}" for file, name in zip(rows["file"], rows["id"], strict=True)]
    image_leak = _shared_images(rows, names)
    columns = {
        "id_repeats": _earlier(rows, "id", "", names),
        "repeats": _earlier(rows, "image_hash", 0, names),
        "contradicts": _contradictions(rows, names),
        "writer_leak": _shared_writers(rows),
        "image_leak": image_leak,
        "near_leak": _near(rows, profile.fingerprints, names, image_leak, near),
    }
    table = pd.DataFrame(columns, index=rows.index)
    train = set(rows.loc[rows["file"] == "train", "label_hash"])
    table["label_seen"] = [
        file != "train" and label in train
        for file, label in zip(rows["file"], rows["label_hash"], strict=True)
    ]
    return table


def similarity(one: NDArray[np.uint8], many: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Correlation of fingerprints, (b,) with (n, b): 1 for equal ones, 0 where one is flat."""
    return _standardised(many) @ _standardised(one)


def _standardised(fingerprints: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = fingerprints.astype(np.float32)
    values -= values.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.maximum(length, 1e-6), np.float32)


def _earlier(rows: pd.DataFrame, key: str, empty: object, names: list[str]) -> list[str]:
    """The first row of the split with the same value of `key`, for each that is not the first."""
    first: dict[tuple[str, object], str] = {}
    result = []
    for file, value, name in zip(rows["file"], rows[key], names, strict=True):
        result.append("" if value == empty else first.get((file, value), ""))
        first.setdefault((file, value), name)
    return result


def _contradictions(rows: pd.DataFrame, names: list[str]) -> list[str]:
    first: dict[int, tuple[int, str]] = {}
    result = []
    for image, label, name in zip(rows["image_hash"], rows["label_hash"], names, strict=True):
        known_label, known = first.setdefault(image, (label, name))
        result.append(known if image and known_label != label else "")
    return result


def _shared_images(rows: pd.DataFrame, names: list[str]) -> list[str]:
    owners: dict[str, dict[int, str]] = defaultdict(dict)
    for file, image, name in zip(rows["file"], rows["image_hash"], names, strict=True):
        owners[file].setdefault(image, name)
    return [
        next((owners[up][image] for up in upstream(file) if image and image in owners[up]), "")
        for file, image in zip(rows["file"], rows["image_hash"], strict=True)
    ]


def _shared_writers(rows: pd.DataFrame) -> list[str]:
    known = rows[rows["writer"].notna()]
    writers = {file: set(group) for file, group in known.groupby("file")["writer"]}
    return [
        next((f"{up}/{writer}" for up in upstream(file) if writer in writers.get(up, ())), "")
        for file, writer in zip(rows["file"], rows["writer"], strict=True)
    ]


def _near(
    rows: pd.DataFrame,
    fingerprints: NDArray[np.uint8],
    names: list[str],
    same: list[str],
    near: float,
) -> list[str]:
    """Only pictures of one label are compared: the groups stay small.

    A label of one token is passed over: two hands' `1` are as alike as two copies.
    """
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    columns = (rows[name] for name in ("file", "label_hash", "image_hash", "tokens"))
    for index, (file, label, image, length) in enumerate(zip(*columns, strict=True)):
        if image and length > 1:
            groups[file, label].append(index)
    result = [""] * len(rows)
    for (file, label), members in groups.items():
        others = [index for up in upstream(file) for index in groups.get((up, label), ())]
        if not others:
            continue
        known = fingerprints[others]
        for index in members:
            if same[index]:
                continue
            scores = similarity(fingerprints[index], known)
            best = int(scores.argmax())
            if scores[best] >= near:
                result[index] = names[others[best]]
    return result
