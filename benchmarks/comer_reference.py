"""CoMER as published (Zhao and Gao, ECCV 2022), what `make bench` compares with.

Written anew after the structure of the authors' code, in plain PyTorch: sequences first, one
product for each attention, no caches. The search decodes the whole prefix of every hypothesis at
every step, all hypotheses of both directions being rows of one batch, each with its own copy of
the image's cells, and ends with a teacher-forced pass in which each direction judges the other.
Nothing here is slow on purpose, and nothing comes from `hmer`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LAYERS, WIDTH, HEADS, FEEDFORWARD, DROPOUT = 3, 256, 8, 1024, 0.3
GROWTH, BOTTLENECKS, ENCODER_DROPOUT = 24, 16, 0.2


def convolution(inputs: int, outputs: int, side: int) -> list[nn.Module]:
    """Convolution, batch norm, ReLU, dropout."""
    return [
        nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Dropout(ENCODER_DROPOUT),
    ]


class Bottleneck(nn.Module):
    """1 x 1 to four times the growth, 3 x 3 to the growth, joined to the input."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        narrow, grow = convolution(inputs, 4 * GROWTH, 1), convolution(4 * GROWTH, GROWTH, 3)
        self.grow = nn.Sequential(*narrow, *grow)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, inputs + growth, h, w)."""
        return torch.cat([x, self.grow(x)], dim=1)


class DenseNet(nn.Sequential):
    """DenseNet-B, stride 16, 684 channels."""

    def __init__(self) -> None:
        channels = 2 * GROWTH
        parts = [
            nn.Conv2d(1, channels, 7, 2, 3, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2, ceil_mode=True),
        ]
        for block in range(3):
            for _ in range(BOTTLENECKS):
                parts.append(Bottleneck(channels))
                channels += GROWTH
            if block < 2:
                parts += convolution(channels, channels // 2, 1)
                parts.append(nn.AvgPool2d(2, ceil_mode=True))
                channels //= 2
        super().__init__(*parts, nn.BatchNorm2d(channels))
        self.channels = channels


def sinusoid(places: Tensor, width: int) -> Tensor:
    """Interleaved sine and cosine of places (...): (..., width)."""
    rates = 10_000.0 ** -(torch.arange(0, width, 2) / width)
    angles = places.float().unsqueeze(-1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


class Encoder(nn.Module):
    """Images to cells with their places."""

    def __init__(self) -> None:
        super().__init__()
        self.features = DenseNet()
        self.project = nn.Conv2d(self.features.channels, WIDTH, 1)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, images: Tensor, padding: Tensor) -> Tensor:
        """Images (B, 1, H, W), padding bool (B, h, w), to cells (B, h, w, width)."""
        cells = self.project(self.features(images)).permute(0, 2, 3, 1)
        code = []
        for side in (2, 1):
            places = (~padding).cumsum(dim=side).float()
            total = places.narrow(side, -1, 1)
            code.append(sinusoid(places / (total + 1e-6) * (2 * math.pi), WIDTH // 2))
        normed: Tensor = self.norm(cells + torch.cat(code, dim=-1))
        return normed


class Refinement(nn.Module):
    """The ARM: from where attention has fallen so far to what it is lowered by."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * HEADS, 32, 5, padding=2)
        self.project = nn.Conv2d(32, HEADS, 1, bias=False)
        self.norm = nn.BatchNorm1d(HEADS)

    def forward(self, below: Tensor, own: Tensor, padding: Tensor) -> Tensor:
        """Attention (B heads, T, h w) of the layer below and of this one, to the same shape."""
        rows, height, width = padding.shape
        length = own.shape[1]
        maps = torch.cat([x.view(rows, HEADS, length, -1) for x in (below, own)], dim=1)
        coverage = maps.cumsum(dim=2) - maps
        grid = coverage.transpose(1, 2).reshape(-1, 2 * HEADS, height, width)
        outside = padding.repeat_interleave(length, dim=0)
        hidden = functional.relu(self.conv(grid)).masked_fill(outside.unsqueeze(1), 0.0)
        lower: Tensor = self.project(hidden).permute(0, 2, 3, 1).contiguous()
        lower[~outside] = self.norm(lower[~outside]).to(lower.dtype)
        lower = lower.view(rows, length, height * width, HEADS).permute(0, 3, 1, 2)
        return lower.reshape_as(own)


class Attention(nn.Module):
    """Multi-head attention whose weights may be refined."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(WIDTH, 3 * WIDTH)
        self.merge = nn.Linear(WIDTH, WIDTH)

    def forward(
        self, x: Tensor, memory: Tensor, hidden: Tensor, arm: Refinement | None = None,
        below: Tensor | None = None, padding: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """What x (T, B, width) sees in memory (N, B, width), and the weights (B heads, T, N).

        `hidden`, bool, goes with (B, heads, T, N). The ARM takes the weights of the layer `below`.
        """
        length, rows, _ = x.shape
        side = WIDTH // HEADS
        if memory is x:
            parts = self.project(x).chunk(3, dim=-1)
        else:
            weight, bias = self.project.weight, self.project.bias
            both = functional.linear(memory, weight[WIDTH:], bias[WIDTH:])
            parts = (functional.linear(x, weight[:WIDTH], bias[:WIDTH]), *both.chunk(2, dim=-1))
        query, key, value = (part.reshape(-1, rows * HEADS, side).transpose(0, 1) for part in parts)
        logits = torch.bmm(query * side**-0.5, key.transpose(1, 2)).view(rows, HEADS, length, -1)
        logits = logits.masked_fill(hidden, -torch.inf).flatten(0, 1)
        weights = functional.dropout(logits.softmax(dim=-1), DROPOUT, self.training)
        if arm is not None and below is not None and padding is not None:
            logits = logits - arm(below, weights, padding)
            weights = functional.dropout(logits.softmax(dim=-1), DROPOUT, self.training)
        seen = torch.bmm(weights.to(value.dtype), value).transpose(0, 1)
        merged: Tensor = self.merge(seen.reshape(length, rows, WIDTH))
        return merged, weights


class Layer(nn.Module):
    """Post-norm decoder layer."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attention, self.cross_attention = Attention(), Attention()
        self.widen, self.narrow = nn.Linear(WIDTH, FEEDFORWARD), nn.Linear(FEEDFORWARD, WIDTH)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(WIDTH) for _ in range(3))
        self.dropout = nn.Dropout(DROPOUT)

    def forward(
        self, x: Tensor, cells: Tensor, later: Tensor, padding: Tensor, arm: Refinement | None,
        below: Tensor | None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """x (T, B, width) and the weights of the layer below; both of this layer."""
        x = self.norm1(x + self.dropout(self.self_attention(x, x, later)[0]))
        outside = padding.flatten(1)[:, None, None]
        seen, weights = self.cross_attention(x, cells, outside, arm, below, padding)
        x = self.norm2(x + self.dropout(seen))
        wide = self.dropout(functional.relu(self.widen(x)))
        return self.norm3(x + self.dropout(self.narrow(wide))), weights


class ComerReference(nn.Module):
    """CoMER (Fusion): 6.389 million weights with 113 classes."""

    def __init__(self, classes: int = 113) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.embed = nn.Embedding(classes, WIDTH)
        self.norm_word, self.norm_place = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.arm = Refinement()
        self.head = nn.Linear(WIDTH, classes)

    def decode(self, cells: Tensor, padding: Tensor, tokens: Tensor) -> Tensor:
        """Logits (B, T, classes) after tokens (B, T); cells (B, h, w, width), padding (B, h, w)."""
        length = tokens.shape[1]
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        words = self.norm_word(self.embed(tokens)) + sinusoid(torch.arange(length), WIDTH)
        x = self.norm_place(words).transpose(0, 1)
        memory = cells.flatten(1, 2).transpose(0, 1)
        weights: Tensor | None = None
        for layer in self.layers:
            arm = None if weights is None else self.arm
            x, weights = layer(x, memory, later, padding, arm, weights)
        logits: Tensor = self.head(x.transpose(0, 1))
        return logits

    def loss(self, images: Tensor, padding: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of both directions (2B, T); 0 is the padding of targets."""
        cells = self.encoder(images, padding)
        logits = self.decode(torch.cat([cells] * 2), torch.cat([padding] * 2), inputs)
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0)


class Beams:
    """The hypotheses of each row: an image in one direction."""

    def __init__(self, ways: list[tuple[int, int]], beam: int) -> None:
        self.ways = ways
        self.beam = beam
        starts = torch.tensor([start for start, _ in ways])
        self.tokens = starts.repeat_interleave(beam).unsqueeze(1)
        """int64 (rows beam, T): the living, start token included."""
        self.scores = torch.full((len(ways), beam), -1e9)
        self.scores[:, 0] = 0.0
        self.ended: list[list[tuple[float, list[int]]]] = [[] for _ in ways]
        self.done = [False] * len(ways)

    def add(self, row: int, total: float, tokens: Tensor) -> None:
        """File an ended hypothesis, of which the best `beam` stay."""
        self.ended[row].append((total / len(tokens), tokens[1:].tolist()))
        self.ended[row] = sorted(self.ended[row], reverse=True)[: self.beam]

    def advance(self, steps: Tensor) -> None:
        """Go on with the best continuations; steps (rows beam, classes), log-probabilities."""
        classes = steps.shape[1]
        total = (self.scores.view(-1, 1) + steps).view(len(self.ways), -1)
        found, places = (x.tolist() for x in total.topk(2 * self.beam, dim=1))
        chosen: list[tuple[float, int, int]] = []
        for row, (_, stop) in enumerate(self.ways):
            alive: list[tuple[float, int, int]] = []
            for rank, (score, place) in enumerate(zip(found[row], places[row], strict=True)):
                origin, token = row * self.beam + place // classes, place % classes
                if token != stop:
                    alive.append((score, origin, token))
                elif rank < self.beam and not self.done[row]:
                    self.add(row, score, self.tokens[origin])
            chosen += alive[: self.beam]
            if len(self.ended[row]) == self.beam:
                hope = alive[0][0] / self.tokens.shape[1]
                self.done[row] = self.done[row] or self.ended[row][-1][0] >= hope
        scores, origins, tokens = (torch.tensor(column) for column in zip(*chosen, strict=True))
        self.scores = scores.view(-1, self.beam)
        self.tokens = torch.cat([self.tokens[origins], tokens.unsqueeze(1)], dim=1)

    def all(self) -> list[list[tuple[float, list[int]]]]:
        """What each row has found, best first; the living of a row that is not done as they are."""
        for row, scores in enumerate(self.scores.tolist()):
            if not self.done[row]:
                for k, score in enumerate(scores):
                    self.add(row, score, self.tokens[row * self.beam + k])
        return self.ended


@torch.inference_mode()
def search(
    model: ComerReference, images: Tensor, padding: Tensor, *, sos: int, eos: int, beam: int,
    length: int, both: bool = True,
) -> list[list[list[int]]]:  # fmt: skip
    """Readings of each image, best first, of `length` tokens at most; alpha is 1."""
    ways = [(sos, eos), (eos, sos)][: 1 + both]
    cells = model.encoder(images, padding)
    cells, padding = (torch.cat([x] * len(ways)) for x in (cells, padding))
    many, outside = (x.repeat_interleave(beam, dim=0) for x in (cells, padding))
    beams = Beams([way for way in ways for _ in images], beam)
    for _ in range(length):
        beams.advance(model.decode(many, outside, beams.tokens)[:, -1].log_softmax(-1))
        if all(beams.done):
            break
    found = beams.all()
    if not both:
        return [[tokens for _, tokens in row] for row in found]
    # What one direction has found, the other judges: its rows are those of the same image.
    judges = found[len(images) :] + found[: len(images)]
    asked = [tokens[::-1] for row in judges for _, tokens in row]
    heads = [way for way in ways for _ in range(len(images) * beam)]
    inputs = [torch.tensor([a, *tokens]) for (a, _), tokens in zip(heads, asked, strict=True)]
    targets = [torch.tensor([*tokens, z]) for (_, z), tokens in zip(heads, asked, strict=True)]
    rows, wanted = (nn.utils.rnn.pad_sequence(x, batch_first=True) for x in (inputs, targets))
    counted = nn.utils.rnn.pad_sequence([torch.ones(len(x)) for x in targets], batch_first=True)
    steps = model.decode(many, outside, rows).log_softmax(-1)
    said = steps.gather(2, wanted.unsqueeze(2)).squeeze(2) * counted
    opinions = (said.sum(1) / counted.sum(1)).view(2, len(images), beam).tolist()
    readings = []
    for image in range(len(images)):
        left, right = found[image], found[image + len(images)]
        scored = [(s + o, t) for (s, t), o in zip(left, opinions[1][image], strict=True)]
        scored += [(s + o, t[::-1]) for (s, t), o in zip(right, opinions[0][image], strict=True)]
        readings.append([tokens for _, tokens in sorted(scored, reverse=True)])
    return readings
