"""Made-up rows consist of tokens of training rows and keep the special ones in their places."""

import torch

from sparsepath.train.made_up import make_up

ROWS = [[1, 10, 11, 12, 13, 2], [1, 20, 21, 2], [1, 30, 2]]


def test_rows_keep_special_tokens_and_length_limit() -> None:
    made = make_up(ROWS, 200, max_length=7, generator=torch.Generator().manual_seed(0))
    assert len(made) == 200
    assert all(row[0] == 1 and row[-1] == 2 and 3 <= len(row) <= 7 for row in made)
    assert all(1 not in row[1:] and 2 not in row[:-1] for row in made)
    assert {len(row) for row in made} >= {3, 4, 5, 6, 7}


def test_the_generator_decides() -> None:
    first, again, other = (
        make_up(ROWS, 50, max_length=9, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
