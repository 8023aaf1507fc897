"""Decoding: `python -m benchmarks.decoding [--json]`.

Every recogniser at its full size, untrained, on four images of the field's size, beam 10 from both
ends with rescoring, 20 tokens (no hypothesis ends earlier), against the field's way; then cost per
token against length, and memory against beam and batch.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from benchmarks.material import FIELD_UNIT, OUR_UNIT, canvas, expressions, fresh
from benchmarks.output import publish
from benchmarks.references import PlainCoverage, biased, field_decoding
from benchmarks.timing import Comparison, compare
from hmer.decoding.beam import Direction, search_directions
from hmer.decoding.bidirectional import DecodingConfig, search
from hmer.decoding.linear import use_fast_linear
from hmer.decoding.step import MemoryStep
from hmer.latex.vocabulary import Vocabulary
from hmer.models.attention_coverage import AttentionCoverage
from hmer.models.catalog import RECOGNISERS
from hmer.models.interface import Recogniser

IMAGES, BEAM, LENGTH = 4, 10, 20
NO_STOP = -30.0


def pictures(name: str, stride: int, count: int = IMAGES) -> Tensor:
    """Images of middling size at the scale that the recogniser reads."""
    unit = OUR_UNIT if name == "mask-match" else FIELD_UNIT
    images = sorted((image for image, _ in expressions(unit)), key=lambda image: image.size)
    middle = len(images) // 2
    return canvas(images[middle - count // 2 : middle - count // 2 + count], stride)


def ours(model: Recogniser, words: Vocabulary, images: Tensor, config: DecodingConfig) -> list[Any]:
    """Encode and search."""
    return found_by(MemoryStep(model.step, model.encode(images)), words, len(images), config)


def found_by(step: object, words: Vocabulary, inputs: int, config: DecodingConfig) -> list[Any]:
    """Search with a step that would rather not stop."""
    stubborn = biased(step, (words.sos, words.eos), NO_STOP)
    found = search(stubborn, inputs, config, sos=words.sos, eos=words.eos, pad=words.pad)
    assert all(len(reading.tokens) == LENGTH for row in found for reading in row)
    return found


@torch.inference_mode()
def measure(names: Iterable[str] = RECOGNISERS) -> list[Comparison]:
    """Beam search of each recogniser, and its greedy search, against the field's beam search."""
    return [found for name in names for found in measure_one(name)]


def measure_one(name: str) -> list[Comparison]:
    """See `measure`."""
    plain, words = fresh(name)
    fast, _ = fresh(name)
    plain.eval()
    use_fast_linear(fast.eval())
    images = pictures(name, fast.stride)
    beam = DecodingConfig(beam=BEAM, max_length=LENGTH)
    greedy = DecodingConfig(beam=1, max_length=LENGTH, both_directions=False)

    def reference() -> None:
        if isinstance(plain, AttentionCoverage):  # has a state; the field reads image by image
            for image in images:
                found_by(PlainCoverage(plain, image[None]), words, 1, beam)
        else:
            field_decoding(
                plain, images, sos=words.sos, eos=words.eos, pad=words.pad, beam=BEAM,
                max_length=LENGTH, stop_bias=NO_STOP,
            )  # fmt: skip

    both = compare(
        f"{name}, beam {BEAM}, both directions",
        lambda: ours(fast, words, images, beam),
        reference,
        per=len(images),
        unit="image",
        rounds=1,
    )
    seconds = timed(lambda: ours(fast, words, images, greedy)) / len(images)
    return [both, Comparison(f"{name}, greedy", seconds, both.reference, "image")]


def timed(work: Any, rounds: int = 3) -> float:
    """Median seconds of a call."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


class Watched:
    """A step that notes its seconds and the bytes of its caches."""

    def __init__(self, step: MemoryStep) -> None:
        self.step = step
        self.seconds: list[float] = []
        self.bytes: list[int] = []

    def __call__(
        self, tokens: Tensor, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `Step`."""
        began = time.perf_counter()
        logits, past = self.step(tokens, past)
        self.seconds.append(time.perf_counter() - began)
        self.bytes.append(sum(cache.nbytes for cache in past))
        return logits, past


def watched(name: str, count: int, beam: int, length: int) -> Watched:
    """A search of `length` tokens from the left."""
    model, words = fresh(name)
    use_fast_linear(model.eval())
    images = pictures(name, model.stride, count)
    step = Watched(MemoryStep(model.step, model.encode(images)))
    search_directions(
        biased(step, (words.sos, words.eos), NO_STOP), count,
        [Direction(words.sos, words.eos, (words.pad, words.sos))],
        beam=beam, max_length=length,
    )  # fmt: skip
    return step


@torch.inference_mode()
def per_token(name: str, length: int = 160) -> list[dict[str, float]]:
    """Milliseconds of a step, median around each length, one image, beam 10."""
    step = watched(name, 1, BEAM, length)
    return [
        {"tokens": at, "ms": 1e3 * statistics.median(step.seconds[at - 10 : at + 10])}
        for at in range(20, length, 40)
    ]


@torch.inference_mode()
def memory(name: str, length: int = 50) -> list[dict[str, float]]:
    """Mebibytes of caches after 50 tokens against images and hypotheses."""
    return [
        {"images": count, "beam": beam, "MiB": watched(name, count, beam, length).bytes[-1] / 2**20}
        for count, beam in ((1, 1), (1, 10), (4, 10))
    ]


def report() -> dict[str, Any]:
    """All measurements."""
    chosen = ("mask-match", "comer")
    return {
        "decoding": measure(),
        "ms per token": {name: per_token(name) for name in chosen},
        "MiB of caches": {name: memory(name) for name in chosen},
    }


if __name__ == "__main__":
    publish(report())
