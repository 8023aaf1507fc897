"""Images in padded batches of similar size: read by a recogniser, or handed to a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch import Tensor

from hmer.data.batches import BatchConfig, batch_size, choose_buckets, fixed_plans
from hmer.data.collate import stack
from hmer.decoding.bidirectional import DecodingConfig
from hmer.evaluation.report import Image
from hmer.recognition import Recognition
from hmer.recognizer import PAPER, Recognizer

Count = Callable[[int], None]
"""Called with the number of images that have been read since the last call."""


def read_all(
    recognizer: Recognizer,
    images: Sequence[Image],
    decoding: DecodingConfig,
    batch: BatchConfig,
    count: Count,
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


def in_batches(
    images: Sequence[Image], stride: int, config: BatchConfig
) -> Iterator[tuple[list[int], Tensor]]:
    """The pictures in padded batches of similar size: their numbers, and float (B, 1, H, W).

    There is as much blank paper around them as when they are read (`hmer.recognizer.PAPER`).
    """
    if not images:
        return
    sizes = np.array([image.shape for image in images], dtype=np.int64)
    paper = -(-PAPER // stride) * stride
    for _, plan in fixed_plans(sizes, config, stride):
        numbers = plan.samples.tolist()
        shape = (plan.height + paper, plan.width + paper)
        yield numbers, stack([images[number] for number in numbers], *shape)
