"""Decoding: `python -m benchmarks.decoding [--json]`.

`comer`, and `mask-match` at its own scale, against CoMER as published (`comer_reference.py`): four
untrained images, one at a time and as a batch, 20 tokens (no hypothesis ends earlier), beam 10 from
both ends with rescoring, and greedily from the left. Then the other recognisers, and what a token
and the caches cost against length. Full size, fp32.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.comer_reference import search as search_reference
from benchmarks.material import (
    FIELD_UNIT,
    OUR_UNIT,
    canvas,
    expressions,
    field_padding,
    field_reference,
    fresh,
)
from benchmarks.output import publish
from benchmarks.timing import Row, comparison, in_turn
from hmer.decoding.beam import Direction, search_directions
from hmer.decoding.bidirectional import DecodingConfig, search
from hmer.decoding.step import Floats, Numbers, Step
from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.base import Recogniser
from hmer.models.linear import use_fast_linear
from hmer.models.registry import RECOGNISERS
from hmer.models.step import MemoryStep

IMAGES, BEAM, LENGTH, LONGEST = 4, 10, 20, 160
NO_STOP = -30.0
Reader = Callable[[Tensor, DecodingConfig], object]
PAIR = ("comer", "mask-match")
"""Those that are compared with the reference."""
CONFIGS = {
    f"beam {BEAM}, both directions": DecodingConfig(beam=BEAM, max_length=LENGTH, alpha=1.0),
    "greedy, left to right": DecodingConfig(beam=1, max_length=LENGTH, both_directions=False),
}


def pictures(name: str, stride: int, count: int = IMAGES, together: int = IMAGES) -> list[Tensor]:
    """Images of middling size at the scale that the recogniser reads, `together` on a canvas."""
    unit = OUR_UNIT if name == "mask-match" else FIELD_UNIT
    images = sorted((image for image, _ in expressions(unit)), key=lambda image: image.size)
    begin = len(images) // 2 - count // 2
    starts = range(begin, begin + count, together)
    return [canvas(images[i : min(i + together, begin + count)], stride) for i in starts]


class Biased(NamedTuple):
    """A step that would rather not stop: untrained models end anywhere."""

    step: Step
    tokens: tuple[int, ...]
    bias: float

    def __call__(self, tokens: Numbers, past: Any) -> tuple[Floats, Any]:
        """See `Step`."""
        said, past = self.step(tokens, past)
        said = said.copy()
        said[..., list(self.tokens)] += self.bias
        return said, past

    def reorder(self, past: Any, inputs: Numbers, origin: Numbers) -> Any:
        """See `Step`."""
        return self.step.reorder(past, inputs, origin)

    def keep(self, rows: Numbers) -> Biased:
        """See `Step`."""
        return self._replace(step=self.step.keep(rows))


@torch.inference_mode()
def ours(model: Recogniser, words: Vocabulary, images: Tensor, config: DecodingConfig) -> list[Any]:
    """Encode and search."""
    step = Biased(MemoryStep(model.step, model.encode(images)), (words.sos, words.eos), NO_STOP)
    found = search(step, len(images), config, sos=words.sos, eos=words.eos, pad=words.pad)
    assert all(len(reading.tokens) == LENGTH for row in found for reading in row)
    return found


def measure() -> list[Row]:
    """`comer` and `mask-match` against the reference: image by image, and as one batch."""
    reference = field_reference().eval()
    words = vocabulary("comer")
    with torch.no_grad():
        reference.head.bias[[words.pad, words.sos, words.eos]] = NO_STOP

    def theirs(chosen: Tensor, config: DecodingConfig) -> None:
        found = search_reference(
            reference, chosen, field_padding(chosen), sos=words.sos, eos=words.eos,
            beam=config.beam, length=LENGTH, both=config.both_directions,
        )  # fmt: skip
        assert all(len(row[0]) == LENGTH for row in found)

    readers: dict[str, tuple[Reader, str, int]] = {"reference": (theirs, "comer", 16)}
    readers |= {name: reader(name) for name in PAIR}
    found = []
    for title, config in CONFIGS.items():
        for count in (1, IMAGES):
            works = {
                name: partial(read_all, read, pictures(scale, stride, together=count), config)
                for name, (read, scale, stride) in readers.items()
            }
            seconds = in_turn(works, rounds=3)
            at_a_time = "one image" if count == 1 else f"{count} images"
            found += [
                comparison(
                    f"{name}, {title}, {at_a_time}",
                    "image",
                    seconds[name] / IMAGES,
                    seconds["reference"] / IMAGES,
                )
                for name in PAIR
            ]
    return found


def others() -> list[Row]:
    """Milliseconds of the other recognisers, an image of a batch."""
    found = []
    for name in RECOGNISERS:
        if name not in PAIR:
            read, scale, stride = reader(name)
            images = pictures(scale, stride)
            works = {
                title: partial(read_all, read, images, config) for title, config in CONFIGS.items()
            }
            seconds = in_turn(works, rounds=1)
            times = {f"{title}, ms": 1e3 * s / IMAGES for title, s in seconds.items()}
            found.append({"recogniser": name, **times})
    return found


def reader(name: str) -> tuple[Reader, str, int]:
    """What encodes and searches, whose scale of images it reads, and their stride."""
    model, words = fresh(name)
    use_fast_linear(model.eval())
    return partial(ours, model, words), name, model.stride


def read_all(read: Reader, canvases: list[Tensor], config: DecodingConfig) -> None:
    """Canvas by canvas."""
    for images in canvases:
        read(images, config)


class Watched:
    """A step that notes its seconds and the bytes of its caches."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.seconds: list[float] = []
        self.bytes: list[int] = []

    def reorder(self, past: Any, inputs: Numbers, origin: Numbers) -> Any:
        """See `Step`."""
        return self.step.reorder(past, inputs, origin)

    def keep(self, rows: Numbers) -> Step:
        """See `Step`; what is kept is not watched."""
        return self.step.keep(rows)

    def __call__(self, tokens: Numbers, past: Any) -> tuple[Floats, Any]:
        """See `Step`."""
        began = time.perf_counter()
        logits, past = self.step(tokens, past)
        self.seconds.append(time.perf_counter() - began)
        self.bytes.append(sum(cache.nbytes for cache in past))
        return logits, past


@torch.inference_mode()
def by_length(name: str) -> list[Row]:
    """Milliseconds of a step, median around each length, and mebibytes of caches: one image."""
    model, words = fresh(name)
    use_fast_linear(model.eval())
    (images,) = pictures(name, model.stride, 1)
    step = Watched(MemoryStep(model.step, model.encode(images)))
    search_directions(
        Biased(step, (words.sos, words.eos), NO_STOP), 1,
        [Direction(words.sos, words.eos, (words.pad, words.sos))],
        beam=BEAM, max_length=LONGEST,
    )  # fmt: skip
    return [
        {
            "recogniser": name,
            "tokens": at,
            "ms": 1e3 * statistics.median(step.seconds[at - 10 : at + 10]),
            "MiB": step.bytes[at] / 2**20,
        }
        for at in range(20, LONGEST, 40)
    ]


def report() -> dict[str, list[Row]]:
    """All measurements."""
    return {
        "decoding": measure(),
        "decoding, a batch of four": others(),
        f"a token and the caches by length, beam {BEAM}": [
            *by_length(PAIR[0]),
            *by_length(PAIR[1]),
        ],
    }


if __name__ == "__main__":
    publish(report())
