"""The Mask & Match recogniser as a whole."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from hmer.data.collate import Batch
from hmer.models.common.attention import AttentionConfig
from hmer.models.common.encoders import CompactConfig
from hmer.models.common.ink_cells import Cells, ink_cells
from hmer.models.mask_match import MaskMatch, MaskMatchConfig
from hmer.models.mask_match.decoder import DecoderConfig

CLASSES = 9
CONFIG = MaskMatchConfig(
    encoder=CompactConfig(width=8, blocks=(1, 1, 1)),
    attention=AttentionConfig(heads=2, hidden=8),
    decoder=DecoderConfig(layers=2, width=16, heads=2, feedforward=16, dropout=0.0),
)


def recogniser(seed: int = 0, config: MaskMatchConfig = CONFIG) -> MaskMatch:
    """As training might leave it: statistics, and a context that counts."""
    torch.manual_seed(seed)
    made = MaskMatch(config, CLASSES)
    with torch.no_grad():
        nn.init.normal_(made.attention.merge.weight, std=0.2)
        for part in made.modules():
            if isinstance(part, nn.BatchNorm2d):
                assert part.running_mean is not None and part.running_var is not None
                part.running_mean.normal_(std=0.2)
                part.running_var.uniform_(0.5, 2.0)
                nn.init.normal_(part.bias, std=0.2)
    return made.eval()


def drawing(seed: int, height: int, width: int, ink: int = 32) -> Tensor:
    """Strokes in the left top square of `ink` pixels, (1, 1, height, width)."""
    image = torch.zeros(1, 1, height, width)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(3):
        top, left = torch.randint(ink - 3, (2,), generator=generator).tolist()
        image[..., top : top + 2, left:ink] = 1.0
    return image


def some_batch(count: int = 2, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.cat([drawing(seed + i, 32, 48) for i in range(count)])
    words = torch.randint(3, CLASSES, (count, 3), generator=generator)
    starts = torch.tensor([1] * count + [2] * count)[:, None]
    both = torch.cat([words, words.flip(1)])
    inputs = torch.cat([starts, both], dim=1)
    targets = torch.cat([both, 3 - starts], dim=1)
    inputs[0, 3:] = targets[0, 3:] = 0  # as if shorter
    symbols = torch.full((count, 4, 6), -100)
    symbols[:, 1, 2] = 5
    symbols[0, 2, 3] = 7
    return Batch(images, inputs, targets, symbols, torch.full_like(symbols, -100))


@torch.no_grad()
def test_losses_by_hand() -> None:
    made, batch = recogniser(), some_batch()
    losses, logits = made.losses(batch)
    assert set(losses) == {"word", "symbol", "alignment"}
    assert logits.shape == (4, 4, CLASSES)
    surprises = [
        -float(logits[row, place].log_softmax(0)[target])
        for row, line in enumerate(batch.targets.tolist())
        for place, target in enumerate(line)
        if target != 0
    ]
    assert len(surprises) == 15
    assert float(losses["word"]) == pytest.approx(sum(surprises) / 15, rel=1e-4)
    inked = ink_cells(batch.images, 8)
    cells = Cells.where(inked)
    attended = made.attention(made.encoder(batch.images), cells, cells.valid).features
    symbols = []
    for b, row, column, token in ((0, 1, 2, 5), (1, 1, 2, 5), (0, 2, 3, 7)):
        if inked[b, row, column]:  # labels elsewhere do not count
            number = int(inked[b].flatten()[: 6 * row + column].sum())
            symbols.append(-float(made.symbol_head(attended[b, number]).log_softmax(0)[token]))
    assert len(symbols) >= 2
    assert float(losses["symbol"]) == pytest.approx(0.5 * sum(symbols) / len(symbols), rel=1e-4)


def test_guided_attention_by_hand() -> None:
    batch = some_batch()
    places = torch.full_like(batch.symbols, -100)
    places[:, 1, 2] = 0
    batch = replace(batch, places=places)
    guided = recogniser(config=CONFIG.model_copy(update={"alignment_weight": 2.0}))
    losses, _ = guided.losses(batch)
    encoded = guided.encode(batch.images)
    forth, back = (guided.attention_maps(x, encoded) for x in batch.inputs.chunk(2))
    ends = (batch.targets[:2] != 0).sum(dim=1) - 2  # read from the right, the first comes last
    shares = [forth[row, 0, 1, 2].item() for row in range(2)]
    shares += [back[row, int(ends[row]), 1, 2].item() for row in range(2)]
    wanted = -2.0 * sum(math.log(share) for share in shares) / 4
    assert losses["alignment"].item() == pytest.approx(wanted, rel=1e-4)


def test_no_symbol_is_known() -> None:
    made, batch = recogniser(), some_batch()
    losses, _ = made.losses(replace(batch, symbols=batch.places))
    assert losses["symbol"].item() == losses["alignment"].item() == 0.0


def test_symbol_loss_teaches_encoder_and_context() -> None:
    made = recogniser().train()
    made.losses(some_batch())[0]["symbol"].backward()  # type: ignore[no-untyped-call]
    touched = {name.split(".")[0] for name, p in made.named_parameters() if p.grad is not None}
    assert touched == {"encoder", "attention", "symbol_head"}


@torch.no_grad()
def test_attention_falls_on_ink() -> None:
    made, batch = recogniser(), some_batch()
    encoded = made.encode(batch.images)
    ink = ink_cells(batch.images, made.stride)
    assert encoded.attention is not None
    assert encoded.attention.shape == encoded.features.shape[:1] + encoded.features.shape[2:]
    assert encoded.attention.sum(dim=(1, 2)).tolist() == pytest.approx([1.0, 1.0])
    assert torch.equal(encoded.attention > 0, ink)
    maps = made.attention_maps(batch.inputs[:2], encoded)
    assert maps.shape == (2, 4, 4, 6)
    assert maps.sum(dim=(2, 3)).flatten().tolist() == pytest.approx([1.0] * 8)
    assert not maps.masked_select(~ink[:, None]).any()


@torch.no_grad()
def test_the_map_guides_the_decoder_by_a_power() -> None:
    made, batch = recogniser(), some_batch()
    for parameter in made.attention.score[2].parameters():
        parameter.mul_(50.0)  # a map with peaks
    attended = made.encode(batch.images)
    made.strength.fill_(30.0)  # so strong that only the best cell of the map is left
    maps = made.attention_maps(batch.inputs[:2], made.encode(batch.images))
    assert attended.attention is not None
    for b in range(2):
        ordered = attended.attention[b].flatten().sort(descending=True).values
        assert ordered[0] > ordered[1]
        best = int(attended.attention[b].argmax())
        assert maps[b].flatten(1).argmax(dim=1).tolist() == [best] * 4


def test_without_strength_the_map_does_not_matter() -> None:
    made, batch = recogniser(), some_batch()
    with torch.no_grad():
        nn.init.zeros_(made.attention.merge.weight)  # attended features use the map, too
        guided = made.losses(batch)[1]
        made.strength.zero_()
        before = made.losses(batch)[1]
        assert not torch.allclose(before, guided)
        for parameter in made.attention.score.parameters():
            parameter.mul_(-2.0)
        torch.testing.assert_close(made.losses(batch)[1], before)
    assert torch.isfinite(before).all()
    made.losses(batch)[0]["word"].backward()  # type: ignore[no-untyped-call]
    assert made.strength.grad is not None and math.isfinite(float(made.strength.grad))
