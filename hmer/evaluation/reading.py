"""Reading many images in batches of similar size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hmer.data.batches import BatchConfig, choose_buckets
from hmer.decoding.bidirectional import DecodingConfig
from hmer.recognizer import Recognition, Recognizer


def read_all(
    recognizer: Recognizer,
    images: Sequence[NDArray[np.uint8]],
    decoding: DecodingConfig,
    batch: BatchConfig,
    tell: Callable[[int], None],
    *,
    attention: bool = False,
) -> list[Recognition]:
    """Read many images in batches of similar size; the answers are in the order of `images`."""
    if not images:
        return []
    sizes = np.array([image.shape for image in images], dtype=np.int64)
    buckets = choose_buckets(sizes, batch.buckets, recognizer.model.stride)
    home = (buckets[None] >= sizes[:, None]).all(axis=2).argmax(axis=1)
    answers: dict[int, Recognition] = {}
    for number, shape in enumerate(buckets):
        members = np.flatnonzero(home == number)
        count = max(1, min(batch.max_count, int(batch.max_pixels // shape.prod())))
        for start in range(0, len(members), count):
            part = members[start : start + count]
            read = recognizer.read(
                [images[i] for i in part], decoding, attention=attention,
                shape=(int(shape[0]), int(shape[1])),
            )  # fmt: skip
            answers.update(zip(part.tolist(), read, strict=True))
            tell(len(part))
    return [answers[index] for index in range(len(images))]
