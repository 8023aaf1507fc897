"""Attention with coverage: the recurrent recogniser with which the field began.

WAP (Zhang et al., Pattern Recognition 2017): additive attention with a coverage vector (section
3.2), between the two layers of a conditional gated recurrent unit behind a DenseNet encoder (Zhang
et al., ICPR 2018, section 3.2). *Ours*: it reads from both ends with the same weights, as BTTR and
all after it do, so that the recognisers are trained and decoded alike; the first state is a
learned map of the mean feature; and the linear map that follows the coverage convolution is folded
into it (there is no non-linearity between them).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn
from torch.nn import functional

from hmer.data.collate import Batch
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Encoded, Entry, Recogniser
from hmer.models.common.densenet import DenseNetConfig
from hmer.models.common.encoders import EncoderConfig, build_encoder
from hmer.models.common.grid import both_rows, stack_rows
from hmer.models.common.ink_cells import extents, written_area


class GruConfig(BaseModel):
    """Size of the recurrent decoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(256, ge=8, le=1024, description="of the state and of the embedding")
    attention: int = Field(256, ge=8, le=1024, description="width in which places are compared")
    inner: int = Field(128, ge=8, le=1024, description="width before the head, after the maxout")
    kernel: int = Field(11, ge=1, le=31, description="side of the coverage convolution, in cells")
    dropout: float = Field(0.5, ge=0, lt=1)

    @field_validator("kernel")
    @classmethod
    def _has_a_middle(cls, side: int) -> int:
        if side % 2 == 0:
            raise ValueError(f"the side of the coverage convolution must be odd, not {side}")
        return side


class CoverageMemory(NamedTuple):
    """What the decoder looks at: N = h * w cells, row by row."""

    features: Tensor
    """(B, channels, N); 0 in padding."""
    keys: Tensor
    """(B, attention, N)."""
    valid: Tensor
    """bool (B, N): False for padding."""
    start: Tensor
    """(B, width): the state before the first token."""
    grid: tuple[int, int]
    """Cells (h, w)."""


class State(NamedTuple):
    """What K hypotheses of each of B images have done so far."""

    hidden: Tensor
    """(B, K, width)."""
    coverage: Tensor
    """(B, K, N): sum of the attention of all steps before."""


class CoverageAttention(nn.Module):
    """Weights over the cells, from the state, the cells and what has been looked at."""

    def __init__(self, channels: int, config: GruConfig) -> None:
        super().__init__()
        self.key = nn.Linear(channels, config.attention)
        self.query = nn.Linear(config.width, config.attention, bias=False)
        self.cover = nn.Conv2d(
            1, config.attention, config.kernel, padding=config.kernel // 2, bias=False
        )
        self.energy = nn.Linear(config.attention, 1, bias=False)

    def forward(self, hidden: Tensor, coverage: Tensor, memory: CoverageMemory) -> Tensor:
        """Weights (B, K, N) that sum to 1 over the valid cells, for states (B, K, width)."""
        query = cast(Tensor, self.query(hidden))
        if torch.is_grad_enabled() or query.device.type != "cpu":
            logits = self._logits(query, coverage, memory)
        else:
            logits = self._logits_in_parts(query, coverage, memory)
        return logits.float().masked_fill(~memory.valid.unsqueeze(1), -torch.inf).softmax(dim=-1)

    def _logits(self, query: Tensor, coverage: Tensor, memory: CoverageMemory) -> Tensor:
        """Logits (B, K, N) for queries (B, K, attention)."""
        batch, count, cells = coverage.shape
        seen = self.cover(coverage.view(batch * count, 1, *memory.grid))
        compared = seen.view(batch, count, -1, cells) + memory.keys.unsqueeze(1)
        compared = compared + query.unsqueeze(-1)
        return torch.matmul(self.energy.weight, compared.tanh()).squeeze(2)

    def _logits_in_parts(self, query: Tensor, coverage: Tensor, memory: CoverageMemory) -> Tensor:
        """The same without gradients, -inf around what is valid.

        What is compared is `attention` times as large as the coverage. Done for all hypotheses
        at once it goes through main memory, in fresh pages, four times in every step; in parts
        that are worked on in place it stays in the cache. Each image is cut to its own extent.
        """
        valid = memory.valid.view(-1, *memory.grid)
        grid = coverage.reshape(*coverage.shape[:2], *memory.grid)
        logits = torch.full_like(grid, -torch.inf)
        for image, (rows, columns) in enumerate(extents(valid)):
            own = grid[image, :, None, :rows, :columns]
            keys = memory.keys[image].view(-1, *memory.grid)[:, :rows, :columns].contiguous()
            part = max(1, _PART // keys.numel())
            for start in range(0, len(own), part):
                compared = self.cover(own[start : start + part]).add_(keys)
                compared.add_(query[image, start : start + part, :, None, None]).tanh_()
                said = torch.matmul(self.energy.weight, compared.flatten(2))
                logits[image, start : start + part, :rows, :columns] = said.view_as(
                    own[start : start + part, 0]
                )
        return logits.flatten(2)


_PART = 1 << 18
"""Numbers that are compared at a time: a mebibyte, about what a core keeps to itself."""


class GruDecoder(nn.Module):
    """Tokens and a grid of cells in, logits over the vocabulary out."""

    def __init__(self, config: GruConfig, channels: int, vocabulary: int) -> None:
        super().__init__()
        width = config.width
        self.embed = nn.Embedding(vocabulary, width)
        self.first = nn.Linear(channels, width)
        self.lower = nn.GRUCell(width, width)
        self.attend = CoverageAttention(channels, config)
        self.upper = nn.GRUCell(channels, width)
        self.from_state = nn.Linear(width, 2 * config.inner)
        self.from_token = nn.Linear(width, 2 * config.inner, bias=False)
        self.from_context = nn.Linear(channels, 2 * config.inner, bias=False)
        self.head = nn.Linear(config.inner, vocabulary)
        self.dropout = nn.Dropout(config.dropout)

    def remember(self, features: Tensor, valid: Tensor) -> CoverageMemory:
        """Prepare features (B, channels, h, w), of which the cells in bool (B, h, w) count.

        Every image needs at least one valid cell.
        """
        flat = features.flatten(2).masked_fill(~valid.flatten(1).unsqueeze(1), 0.0)
        count = valid.flatten(1).sum(dim=1, keepdim=True)
        start = torch.tanh(self.first(flat.sum(dim=2) / count))
        keys = self.attend.key(flat.transpose(1, 2)).transpose(1, 2)
        height, width = features.shape[2:]
        return CoverageMemory(flat, keys, valid.flatten(1), start, (height, width))

    def start(self, memory: CoverageMemory, hypotheses: int) -> State:
        """The state before the first token, the same for all hypotheses."""
        batch, cells = memory.valid.shape
        hidden = memory.start.unsqueeze(1).expand(-1, hypotheses, -1)
        return State(hidden, memory.start.new_zeros(batch, hypotheses, cells).float())

    def advance(
        self, embedded: Tensor, state: State, memory: CoverageMemory
    ) -> tuple[State, Tensor, Tensor]:
        """One token (B, K, width), embedded, of K hypotheses further.

        Returns the new state, the context (B, K, channels) and the attention (B, K, N).
        """
        shape = embedded.shape
        hidden = self.lower(embedded.flatten(0, 1), state.hidden.flatten(0, 1))
        weights = self.attend(hidden.view(shape), state.coverage, memory)
        context = torch.matmul(weights.to(memory.features.dtype), memory.features.transpose(1, 2))
        hidden = self.upper(context.flatten(0, 1), hidden)
        return State(hidden.view(shape), state.coverage + weights), context, weights

    def answer(self, hidden: Tensor, embedded: Tensor, context: Tensor) -> Tensor:
        """Logits (..., vocabulary): a maxout over pairs, then the head, as in WAP."""
        mixed = self.from_state(hidden) + self.from_token(embedded) + self.from_context(context)
        inner = mixed.unflatten(-1, (-1, 2)).amax(dim=-1)
        return cast(Tensor, self.head(self.dropout(inner)))

    def forward(self, tokens: Tensor, memory: CoverageMemory) -> tuple[Tensor, Tensor]:
        """Teacher-forced pass over inputs (B, K, T).

        Returns:
            Logits (B, K, T, vocabulary) and the attention of every step (B, K, T, N).
        """
        embedded = cast(Tensor, self.dropout(self.embed(tokens)))
        state = self.start(memory, tokens.shape[1])
        hidden, contexts, maps = [], [], []
        for embedding in embedded.unbind(dim=2):
            state, context, weights = self.advance(embedding, state, memory)
            hidden.append(state.hidden)
            contexts.append(context)
            maps.append(weights)
        logits = self.answer(torch.stack(hidden, dim=2), embedded, torch.stack(contexts, dim=2))
        return logits, torch.stack(maps, dim=2)

    def step(
        self, tokens: Tensor, memory: CoverageMemory, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `Recogniser.step`; `past` is the state: (B, K, width) and (B, K, N)."""
        embedded = cast(Tensor, self.embed(tokens))
        state = State(*past) if past else self.start(memory, tokens.shape[1])
        state, context, _ = self.advance(embedded, state, memory)
        return self.answer(state.hidden, embedded, context), tuple(state)


class AttentionCoverageConfig(BaseModel):
    """Parts of the recogniser; the defaults are the field's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: EncoderConfig = DenseNetConfig()
    decoder: GruConfig = GruConfig()
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class AttentionCoverage(Recogniser):
    """Encoder, then a two-layer recurrent decoder with additive attention and coverage."""

    config: AttentionCoverageConfig

    def __init__(self, config: AttentionCoverageConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config = config
        self.classes = len(vocabulary)
        self.encoder = build_encoder(config.encoder)
        self.stride = self.encoder.stride
        self.decoder = GruDecoder(config.decoder, self.encoder.channels, self.classes)

    def encode(self, images: Tensor) -> Encoded:
        """See `Recogniser.encode`."""
        features = cast(Tensor, self.encoder(images))
        valid = written_area(images, self.stride)
        return Encoded(self.decoder.remember(features, valid), None, features)

    def losses(self, batch: Batch) -> tuple[Mapping[str, Tensor], Tensor]:
        """See `Recogniser.losses`: `word`, both directions."""
        memory = cast(CoverageMemory, self.encode(batch.images).memory)
        logits = stack_rows(self.decoder(both_rows(batch.inputs), memory)[0])
        word = functional.cross_entropy(
            logits.float().flatten(0, 1),
            batch.targets.flatten(),
            ignore_index=Vocabulary.pad,
            label_smoothing=self.config.label_smoothing,
        )
        return {"word": word}, logits

    def step(
        self, tokens: Tensor, encoded: Encoded, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `Recogniser.step`; `past` is the state and the coverage."""
        return self.decoder.step(tokens, cast(CoverageMemory, encoded.memory), past)

    def attention_maps(self, tokens: Tensor, encoded: Encoded) -> Tensor:
        """See `Recogniser.attention_maps`."""
        memory = cast(CoverageMemory, encoded.memory)
        weights = self.decoder(tokens.unsqueeze(1), memory)[1].squeeze(1)
        return cast(Tensor, weights.unflatten(-1, memory.grid))


ENTRY = Entry(AttentionCoverageConfig, AttentionCoverage, "wap")
