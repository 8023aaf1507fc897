"""Connected components of a binary image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Components:
    """The components of a mask (H, W), as runs of pixels in a row.

    Attributes:
        shape: (H, W).
        boxes: left, top, right, bottom (exclusive) and pixel count of each component, (n, 5).
        rows, starts, ends: where each run is (m,); the end is exclusive.
        labels: the component that each run belongs to (m,).
    """

    shape: tuple[int, int]
    boxes: Numbers
    rows: Numbers
    starts: Numbers
    ends: Numbers
    labels: Numbers

    def mask(self, chosen: Mask) -> Mask:
        """The pixels (H, W) of the components chosen (n,)."""
        change = np.zeros((self.shape[0], self.shape[1] + 1), np.int8)
        runs = chosen[self.labels]
        change[self.rows[runs], self.starts[runs]] = 1
        change[self.rows[runs], self.ends[runs]] -= 1
        return np.cumsum(change, axis=1, dtype=np.int8)[:, :-1] > 0

    def peaks(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The largest of `values` (H, W) in each component, (n,)."""
        width = self.shape[1]
        bounds = np.stack([self.rows * width + self.starts, self.rows * width + self.ends], axis=1)
        flat = np.append(values.ravel(), np.float32(0))
        found = np.zeros(len(self.boxes), np.float32)
        if len(bounds):
            np.maximum.at(found, self.labels, np.maximum.reduceat(flat, bounds.ravel())[::2])
        return found


def components(mask: Mask) -> Components:
    """The components of a mask (H, W): pixels that touch at a side or a corner belong together.

    Works on runs of pixels in a row, so the cost grows with the ink, not with the paper.
    """
    rows, starts, ends = _runs(mask)
    parent = list(range(len(rows)))

    def find(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    first = np.searchsorted(rows, np.arange(mask.shape[0] + 1)).tolist()
    start, end = starts.tolist(), ends.tolist()
    for row in range(1, mask.shape[0]):
        above, here = first[row - 1], first[row]
        while above < first[row] and here < first[row + 1]:
            if start[above] <= end[here] and start[here] <= end[above]:
                one, other = find(above), find(here)
                parent[max(one, other)] = min(one, other)
            if end[above] < end[here]:
                above += 1
            else:
                here += 1
    roots = np.array([find(run) for run in range(len(rows))], np.int64)
    _, label = np.unique(roots, return_inverse=True)
    count = int(label.max(initial=-1)) + 1
    boxes = np.zeros((count, 5), np.int64)
    boxes[:, :2] = max(mask.shape)
    np.minimum.at(boxes[:, 0], label, starts)
    np.minimum.at(boxes[:, 1], label, rows)
    np.maximum.at(boxes[:, 2], label, ends)
    np.maximum.at(boxes[:, 3], label, rows + 1)
    np.add.at(boxes[:, 4], label, ends - starts)
    return Components((mask.shape[0], mask.shape[1]), boxes, rows, starts, ends, label)


def component_boxes(mask: Mask) -> Numbers:
    """Left, top, right, bottom (exclusive) and pixel count of each component, (n, 5)."""
    return components(mask).boxes


def _runs(mask: Mask) -> tuple[Numbers, Numbers, Numbers]:
    """Row, start and end (exclusive) of every horizontal run of pixels, in reading order."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
    padded[:, 1:-1] = mask
    change = np.diff(padded, axis=1)
    rows, starts = np.nonzero(change == 1)
    ends = np.nonzero(change == -1)[1]
    return rows, starts, ends
