"""Images read by a recogniser in padded batches of similar size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hmer.data.batches import BatchConfig, batch_size, choose_buckets
from hmer.decoding.bidirectional import DecodingConfig
from hmer.evaluation.report import Image
from hmer.recognition import Recognition
from hmer.recognizer import Recognizer

Count = Callable[[int], None]
"""Called with the number of images that have been read since the last call."""


def uncounted(number: int) -> None:
    """A `Count` that tells nobody."""


def read_all(
    recognizer: Recognizer,
    images: Sequence[Image],
    decoding: DecodingConfig,
    batch: BatchConfig,
    count: Count = uncounted,
    *,
    attention: bool = False,
) -> list[Recognition]:
    """Read many images in batches of similar size; the answers are in the order of `images`."""
    if not images:
        return []
    sizes = np.array([image.shape for image in images], dtype=np.int64)
    buckets = choose_buckets(sizes, batch.buckets, recognizer.stride)
    home = (buckets[None] >= sizes[:, None]).all(axis=2).argmax(axis=1)
    answers: dict[int, Recognition] = {}
    for number, shape in enumerate(buckets):
        members = np.flatnonzero(home == number)
        most = batch_size(shape, batch)
        for start in range(0, len(members), most):
            part = members[start : start + most]
            read = recognizer.read(
                [images[i] for i in part], decoding, attention=attention,
                shape=(int(shape[0]), int(shape[1])),
            )  # fmt: skip
            answers.update(zip(part.tolist(), read, strict=True))
            count(len(part))
    return [answers[index] for index in range(len(images))]
