"""The memory of embeddings."""

from __future__ import annotations

import torch

from hmer.selfsup.key_queue import KeyQueue


def rows(*numbers: int) -> torch.Tensor:
    """Vectors of length 3 k in direction k."""
    return 3.0 * torch.eye(8)[list(numbers)] * torch.tensor(numbers)[:, None]


def test_first_in_first_out() -> None:
    queue = KeyQueue(4, 8)
    assert queue.negatives(torch.tensor([1]))[0].shape == (0, 8)
    queue.push(rows(1, 2), torch.tensor([1, 2]))
    queue.push(rows(3), torch.tensor([3]))
    keys, others = queue.negatives(torch.tensor([2, 9]))
    assert keys.argmax(dim=1).tolist() == [3, 1, 2]
    assert torch.allclose(keys.norm(dim=1), torch.ones(3))
    assert others.tolist() == [[True, True, False], [True, True, True]]
    queue.push(rows(4, 5), torch.tensor([4, 5]))
    assert queue.negatives(torch.tensor([0]))[0].argmax(dim=1).tolist() == [4, 5, 3, 1]
    queue.push(rows(1, 2, 3, 4, 5), torch.tensor([1, 2, 3, 4, 5]))
    keys, others = queue.negatives(torch.tensor([3]))
    assert keys.argmax(dim=1).tolist() == [1, 2, 3, 4]
    assert others.tolist() == [[True, True, False, True]]


def test_it_is_kept_with_the_weights() -> None:
    queue = KeyQueue(3, 8)
    queue.push(rows(1, 2), torch.tensor([1, 2]))
    other = KeyQueue(3, 8)
    other.load_state_dict(queue.state_dict())
    assert torch.equal(other.negatives(torch.tensor([1]))[0], queue.keys[:2])
    assert not queue.keys.requires_grad
