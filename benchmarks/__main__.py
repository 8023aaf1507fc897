"""`python -m benchmarks [--json]`: rendering, decoding and training."""

from __future__ import annotations

from benchmarks import decoding, rendering, training
from benchmarks.output import publish

if __name__ == "__main__":
    publish({**rendering.report(), **decoding.report(), **training.report()})
