"""Decoding with caches against decoding that starts anew at every token."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.timing import Comparison, compare
from hmer.decoding.beam import Step, beam_search
from hmer.latex.vocabulary import vocabulary
from hmer.models.decoders.transformer import CrossMemory
from hmer.models.mask_match import MaskMatch, MaskMatchConfig, Memory

IMAGES, BEAM, LENGTH = 4, 10, 30


def uncached(model: MaskMatch, memory: CrossMemory) -> Step:
    """As `model.step`, but from the whole prefix each time and with memory copied per beam."""

    def step(tokens: Tensor, past: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        prefix = torch.cat([*past, tokens.unsqueeze(-1)], dim=-1)
        images, width, length = prefix.shape
        copied = CrossMemory(
            tuple(x.repeat_interleave(width, dim=0) for x in memory.keys),
            tuple(x.repeat_interleave(width, dim=0) for x in memory.values),
            memory.bias.repeat_interleave(width, dim=0),
        )
        logits = model.decoder(prefix.view(images * width, length), copied)[:, -1]
        return logits.view(images, width, -1), (prefix,)

    return step


@torch.inference_mode()
def measure() -> list[Comparison]:
    """Beam search of a fixed length over random images of usual size."""
    torch.manual_seed(0)
    words = vocabulary("wap")
    model = MaskMatch(MaskMatchConfig(), len(words)).eval()
    images = (torch.rand(IMAGES, 1, 96, 256) > 0.9).float()
    encoded = model.encode(images)
    memory = encoded.memory
    assert isinstance(memory, Memory)

    def run(step: Step) -> object:
        return beam_search(
            step,
            IMAGES,
            start=words.sos,
            stop=words.eos,
            banned=(words.pad, words.eos),
            beam=BEAM,
            max_length=LENGTH,
        )

    def cached(tokens: Tensor, past: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        return model.step(tokens, encoded, past)

    plain = uncached(model, memory.cross)
    return [
        compare(
            f"beam {BEAM}, {LENGTH} tokens",
            lambda: run(cached),
            lambda: run(plain),
            per=IMAGES,
            unit="image",
            rounds=3,
        )
    ]
