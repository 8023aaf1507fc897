"""Bidirectional transformer decoder of the field: BTTR, and with the ARM CoMER and its descendants.

The attention refinement module (ARM; Zhao and Gao, ECCV 2022, section 3.2) lowers cross-attention
where the decoder has looked before.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.common.ink_cells import extents
from hmer.models.common.kv_cache import History, causal_attention
from hmer.models.common.layers import DecoderSize, Dropout, sinusoid, split_heads


class ArmConfig(BaseModel):
    """What attention is refined by; the defaults are CoMER's Fusion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    self_coverage: bool = Field(True, description="use where this layer has looked")
    cross_coverage: bool = Field(True, description="use where the layer below has looked")
    channels: int = Field(32, ge=1, le=256)
    side: int = Field(5, ge=1, le=15, description="of the convolution, odd")


_SMALL = 1 << 16
"""Numbers of coverage below which it takes longer to cut images apart than it saves."""


_MOMENTUM, _EPSILON = 0.1, 1e-5  # of PyTorch's batch normalisation


class MaskedBatchNorm(nn.Module):
    """Batch normalisation whose statistics are of the unpadded cells only.

    In training the statistics are of all rows of the batch, both directions and all time steps
    (those behind the end of a caption too), as in the published code.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Normalise x (B, S, channels, h, w), valid bool (B, h, w); padding comes out finite."""
        x = x.float()
        if self.training:
            mean, var = self._statistics(x, valid[:, None, None].float())
        else:
            mean, var = self.running_mean, self.running_var
        scale, shift = self.affine(mean, var)
        return x * scale[:, None, None] + shift[:, None, None]

    def affine(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """What channels of these statistics are multiplied by, and what is added: (channels,)."""
        scale = self.weight * (var + _EPSILON).rsqrt()
        return scale, self.bias - mean * scale

    def _statistics(self, x: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of this batch; the running ones follow."""
        count = kept.sum() * x.shape[1]
        mean = (x * kept).sum(dim=(0, 1, 3, 4)) / count
        var = ((x - mean[:, None, None]).square() * kept).sum(dim=(0, 1, 3, 4)) / count
        with torch.no_grad():
            unbiased = var * (count / (count - 1).clamp(min=1))
            self.running_mean.lerp_(mean, _MOMENTUM)
            self.running_var.lerp_(unbiased, _MOMENTUM)
        return mean, var


class AttentionRefinement(nn.Module):
    """From where the decoder has looked so far to what its attention is lowered by.

    A `gate` weighs the hidden maps (HMER-MTL): hidden (B, S, channels, h, w), 0 outside of valid,
    bool (B, h, w), to the same shape.
    """

    def __init__(self, heads: int, config: ArmConfig, gate: nn.Module | None = None) -> None:
        super().__init__()
        self.maps = heads * (config.self_coverage + config.cross_coverage)
        self.config = config
        self.conv = nn.Conv2d(self.maps, config.channels, config.side, padding=config.side // 2)
        self.gate = gate
        self.project = nn.Conv2d(config.channels, heads, 1, bias=False)
        self.norm = MaskedBatchNorm(heads)

    def stack(self, below: Tensor, own: Tensor) -> Tensor:
        """The maps (..., heads, N) that count, of the layer below (refined) and of this layer."""
        chosen = [below] * self.config.cross_coverage + [own] * self.config.self_coverage
        return torch.cat(chosen, dim=-2)

    def forward(self, coverage: Tensor, valid: Tensor) -> Tensor:
        """Refinement term of S steps of each image, to be subtracted from the attention logits.

        Args:
            coverage: (B, S, maps, h, w), sums of the attention of all steps before each.
            valid: bool (B, h, w).

        Returns:
            (B, S, heads, h, w).
        """
        if not (self.training or torch.is_grad_enabled() or coverage.device.type != "cpu"):
            return self._by_image(coverage, valid)
        steps = coverage.shape[1]
        hidden = functional.relu(self.conv(coverage.flatten(0, 1)))
        hidden = hidden.view(-1, steps, *hidden.shape[1:]) * valid[:, None, None].to(hidden.dtype)
        if self.gate is not None:
            hidden = cast(Tensor, self.gate(hidden, valid))
        refined = self.project(hidden.flatten(0, 1))
        return cast(Tensor, self.norm(refined.view(-1, steps, *refined.shape[1:]), valid))

    def _by_image(self, coverage: Tensor, valid: Tensor) -> Tensor:
        """The same for reading on a CPU: each image's own cells only, and within the cache.

        The normalisation is folded into the projection before it.
        """
        scale, shift = self.norm.affine(self.norm.running_mean, self.norm.running_var)
        weight = self.project.weight * scale[:, None, None, None]
        if coverage.numel() < _SMALL and self.gate is None:
            hidden = self.conv(coverage.flatten(0, 1)).relu_()
            small = functional.conv2d(hidden, weight, shift)
            return small.view(*coverage.shape[:2], *small.shape[1:])
        found = coverage.new_zeros(*coverage.shape[:2], len(weight), *coverage.shape[3:])
        for image, (rows, columns) in enumerate(extents(valid)):
            hidden = self.conv(coverage[image, ..., :rows, :columns]).relu_()
            if self.gate is not None:
                inside = valid[image : image + 1, :rows, :columns]
                hidden = self.gate(hidden.unsqueeze(0) * inside[:, None, None], inside).squeeze(0)
            found[image, ..., :rows, :columns] = functional.conv2d(hidden, weight, shift)
        return found


Past = tuple[Any, ...]
"""Caches: the `History` of keys and values, then per refined layer (B, K, maps, N) where all steps
before have looked."""


class RefinedDecoderConfig(DecoderSize):
    """The same with the field's size."""

    layers: int = Field(3, ge=1, le=12)
    width: int = Field(256, ge=16, le=1024, multiple_of=4)
    heads: int = Field(8, ge=1, le=16)
    feedforward: int = Field(1024, ge=16, le=4096)
    dropout: float = Field(0.3, ge=0, lt=1)


class GridMemory(NamedTuple):
    """What the layers look at: all cells of a feature map, projected once per image."""

    keys: tuple[Tensor, ...]
    """Per layer (B, heads, N, width / heads)."""
    values: tuple[Tensor, ...]
    """Per layer (B, heads, N, width / heads)."""
    valid: Tensor
    """bool (B, h, w) with h * w = N: False for padding."""


class WordEmbedding(nn.Module):
    """Embedding, layer norm, plus sinusoid, and in CoMER's family a second layer norm."""

    def __init__(self, classes: int, width: int, *, second_norm: bool) -> None:
        super().__init__()
        self.width = width
        self.embed = nn.Embedding(classes, width)
        self.norm = nn.LayerNorm(width)
        self.second_norm = nn.LayerNorm(width) if second_norm else nn.Identity()

    def forward(self, tokens: Tensor, position: int = 0) -> Tensor:
        """Tokens (..., T), the first of which is at `position`, to (..., T, width)."""
        places = torch.arange(position, position + tokens.shape[-1], device=tokens.device)
        words = self.norm(self.embed(tokens)) + sinusoid(places, self.width)
        return cast(Tensor, self.second_norm(words))


class RefinedLayer(nn.Module):
    """Post-norm self-attention, cross-attention and feed-forward (Vaswani et al., 2017)."""

    def __init__(self, config: DecoderSize) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.self_project = nn.Linear(width, 3 * width)
        self.self_merge = nn.Linear(width, width)
        self.cross_query = nn.Linear(width, width)
        self.cross_project = nn.Linear(width, 2 * width)
        self.cross_merge = nn.Linear(width, width)
        self.forward_in = nn.Linear(width, config.feedforward)
        self.forward_out = nn.Linear(config.feedforward, width)
        self.norm_self, self.norm_cross, self.norm_forward = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = Dropout(config.dropout)
        for part in (self.self_project, self.cross_query, self.cross_project):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)
        for part in (self.self_merge, self.cross_merge):
            nn.init.zeros_(part.bias)

    def talk(self, x: Tensor, history: History | None, index: int) -> Tensor:
        """Self-attention of the newest x (B, K, T, width), and the normalisation after it.

        `history` has room for them; None: x is all there is.
        """
        rate = self.dropout.p if self.training else 0.0
        said = causal_attention(self.self_project(x), self.heads, history, index, rate)
        return cast(Tensor, self.norm_self(x + self.dropout(self.self_merge(said))))

    def query(self, x: Tensor) -> Tensor:
        """x (B, K, T, width) as cross-attention queries (B, heads, K T, width / heads)."""
        return split_heads(self.cross_query(x).flatten(1, 2), self.heads)

    def logits(self, x: Tensor, keys: Tensor) -> Tensor:
        """Scaled cross-attention logits (B, K, T, heads, N)."""
        query = self.query(x)
        found: Tensor = (query * query.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
        batch, rows, length, _ = x.shape
        found = found.view(batch, self.heads, rows, length, -1)
        return found.permute(0, 2, 3, 1, 4).contiguous()

    def merge(self, x: Tensor, seen: Tensor) -> Tensor:
        """Join what was seen (B, heads, K T, width / heads) to x, and think about it."""
        merged = self.cross_merge(seen.transpose(1, 2).flatten(2)).view_as(x)
        x = self.norm_cross(x + self.dropout(merged))
        hidden = self.dropout(functional.relu(self.forward_in(x)))
        return cast(Tensor, self.norm_forward(x + self.dropout(self.forward_out(hidden))))


class RefinedDecoder(nn.Module):
    """Embedded tokens and a grid of cells in, hidden states out.

    From the second layer on, attention is refined by one shared ARM: E being the logits,
    A = softmax(E) and A' = softmax(E - ARM(sum over the steps before of [A' of the layer below,
    A])). Dropout acts on A and A', so coverage is of dropped-out attention, as published. Without
    `arm` attention is plain (BTTR).
    """

    def __init__(
        self, config: DecoderSize, arm: ArmConfig | None, gate: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.width = config.width
        self.layers = nn.ModuleList(RefinedLayer(config) for _ in range(config.layers))
        covers = arm is not None and (arm.self_coverage or arm.cross_coverage)
        self.arm: AttentionRefinement | None = None
        if arm is not None and covers and config.layers > 1:
            self.arm = AttentionRefinement(config.heads, arm, gate)
        self.dropout = Dropout(config.dropout)

    def remember(self, features: Tensor, valid: Tensor) -> GridMemory:
        """Project features (B, N, width) once for all layers, rows and steps."""
        keys, values = [], []
        for layer in self._layers():
            key, value = layer.cross_project(features).chunk(2, dim=-1)
            keys.append(split_heads(key, layer.heads).contiguous())
            values.append(split_heads(value, layer.heads).contiguous())
        return GridMemory(tuple(keys), tuple(values), valid)

    def forward(
        self,
        x: Tensor,
        memory: GridMemory,
        past: Past = (),
        *,
        cache: bool = False,
        contributes: Tensor | None = None,
    ) -> tuple[Tensor, Past]:
        """K rows of each image of T tokens, or with caches one token further.

        Args:
            x: (B, K, T, width), embedded.
            memory: of the B images.
            past: caches of the tokens before; () at the start. They need `cache`.
            cache: also return the grown caches, else ().
            contributes: bool (B, K, T), the tokens whose attention counts as coverage (PosFormer's
                implicit attention correction); None: all.

        Returns:
            Hidden states (B, K, T, width), and the caches.
        """
        hidden, grown, _ = self._run(x, memory, past, cache, contributes, False)
        return hidden, grown

    def cross_attention(
        self, x: Tensor, memory: GridMemory, contributes: Tensor | None = None
    ) -> Tensor:
        """Refined attention of the last layer, mean over heads: (B, K, T, h, w)."""
        attention = self._run(x, memory, (), False, contributes, True)[2]
        assert attention is not None
        mean = attention.mean(dim=3)
        return mean.view(*mean.shape[:-1], *memory.valid.shape[1:])

    def _run(
        self,
        x: Tensor,
        memory: GridMemory,
        past: Past,
        cache: bool,
        contributes: Tensor | None,
        shown: bool,
    ) -> tuple[Tensor, Past, Tensor | None]:
        """See `forward`; also the last layer's attention (B, K, T, heads, N), if it was made."""
        layers = self._layers()
        sums: list[Tensor] = []
        history: History | None = None
        if cache:
            history = History.grown(past[0] if past else None, len(layers), x)
        attention: Tensor | None = None
        for index, layer in enumerate(layers):
            x = layer.talk(x, history, index)
            keys, values = memory.keys[index], memory.values[index]
            if self.arm is None and not shown:
                seen = functional.scaled_dot_product_attention(
                    layer.query(x), keys, values,
                    attn_mask=memory.valid.flatten(1)[:, None, None],
                    dropout_p=self.dropout.p if self.training else 0.0,
                )  # fmt: skip
                x = layer.merge(x, seen)
                continue
            logits = layer.logits(x, keys).float()
            logits = logits.masked_fill(~memory.valid.flatten(1)[:, None, None, None], -torch.inf)
            below, attention = attention, self.dropout(logits.softmax(dim=-1))
            if self.arm is not None and below is not None:
                maps = self.arm.stack(below, attention)
                if contributes is not None:
                    maps = maps * contributes[..., None, None]
                so_far = past[index] if past else None
                coverage = _before(maps, so_far)
                if cache:
                    sums.append(coverage[:, :, -1] + maps[:, :, -1])
                grid = coverage.reshape(len(x), -1, maps.shape[3], *memory.valid.shape[1:])
                refinement = self.arm(grid, memory.valid).flatten(-2).view_as(logits)
                attention = self.dropout((logits - refinement).softmax(dim=-1))
            weights = attention.flatten(1, 2).transpose(1, 2).to(values.dtype)
            x = layer.merge(x, weights @ values)
        return x, () if history is None else (history, *sums), attention

    def _layers(self) -> list[RefinedLayer]:
        return cast(list[RefinedLayer], list(self.layers))


def _before(maps: Tensor, so_far: Tensor | None) -> Tensor:
    """Sum of the maps (B, K, T, ...) of all steps before each; `so_far` (B, K, ...) for T = 1."""
    return maps.cumsum(dim=2) - maps if so_far is None else so_far.unsqueeze(2)
