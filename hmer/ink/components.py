"""Connected components of a binary image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def component_boxes(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Left, top, right, bottom (exclusive) and pixel count of each component, (n, 5).

    Pixels that touch at a side or a corner belong together. Works on runs of pixels in a row,
    so the cost grows with the ink, not with the paper.
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
    return boxes


def _runs(
    mask: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Row, start and end (exclusive) of every horizontal run of pixels, in reading order."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
    padded[:, 1:-1] = mask
    change = np.diff(padded, axis=1)
    rows, starts = np.nonzero(change == 1)
    ends = np.nonzero(change == -1)[1]
    return rows, starts, ends
