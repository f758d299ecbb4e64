"""Made-up texts for distilling: parts and joins of training texts, which only a teacher can label.

Ten thousand labelled rows are too few to teach a small model what a large one knows; the large one
answers any sequence of tokens. A made-up row is a training row with some tokens left out, the
beginning of one and the end of another.
"""

from collections.abc import Sequence

import torch

SHARE_THINNED = 0.5
"""Share of rows that lose tokens; the others join a beginning with an end."""

SHARE_DROPPED = 0.25
"""Share of the tokens that a thinned row loses."""


def make_up(
    encoded: Sequence[Sequence[int]], n: int, *, max_length: int, generator: torch.Generator
) -> list[list[int]]:
    """Make up token sequences from training rows.

    Args:
        encoded: Training rows with one special token at either end.
        n: How many to make.
        max_length: Most tokens of a row, special tokens included.
        generator: Source of all choices.

    Returns:
        `n` rows with the special tokens of the rows they came from.
    """
    picks = torch.randint(len(encoded), (n, 2), generator=generator).tolist()
    draws = torch.rand(n, 3, generator=generator).tolist()
    made = []
    for (first, second), (kind, cut, other_cut) in zip(picks, draws, strict=True):
        one, two = list(encoded[first][1:-1]), list(encoded[second][1:-1])
        if kind < SHARE_THINNED:
            kept = torch.rand(len(one), generator=generator) > SHARE_DROPPED
            body = [token for token, is_kept in zip(one, kept.tolist(), strict=True) if is_kept]
        else:
            body = one[: round(cut * len(one))] + two[round(other_cut * len(two)) :]
        body = (body or one)[: max_length - 2]
        made.append([encoded[first][0], *body, encoded[first][-1]])
    return made
