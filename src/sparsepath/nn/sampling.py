"""Who draws the sources that subsampled self-attention keeps.

Three ways, all with an explicit generator: `draw_sources` (uniform: shuffle all sources and keep
the first share of them), `draw_order` (locally biased: each source moves only a few places, then
windows are cut) and `draw_strata` (one source from each stretch of equal length). Sources are drawn
once for all targets; one set serves the whole batch and all heads, or each has its own. Padding is
never drawn.

Shape letters: B examples (or 1), K key and value heads (or 1), N positions, M kept sources.

Source: Hussain et al. 2023, arXiv 2306.01705, figure 3. How far a source moves is not in what could
be read of the paper; here by Gaussian noise on its place, which gives orders as in that figure.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from sparsepath.errors import ConfigError

Mode = Literal["uniform", "local", "stratified"]
"""Ways of drawing."""

Sets = tuple[int, int]
"""Sets of sources for examples and for key heads: the number of them, or 1 for a shared set."""


def draw_sources(
    n: int,
    keep: float,
    *,
    generator: torch.Generator,
    sets: Sets = (1, 1),
    is_real: Bool[Tensor, "examples n"] | None = None,
) -> Int[Tensor, "examples kv_heads kept"]:
    """Keep a uniformly drawn share of the sources; at least one where there is any.

    Args:
        n: positions.
        keep: share of an example's real positions, above 0 and up to 1.
        generator: draws; on its device.
        sets: how many sets are drawn.
        is_real: False for padding. With it there is a set per example, from one shuffling if
            `sets` asks for one.

    Returns:
        Ascending positions; `n` stands for none, at the end, where an example keeps fewer.

    Raises:
        ConfigError: if `keep` is not above 0 and up to 1.
    """
    check_keep(keep)
    rank_BKN = torch.rand(*sets, n, generator=generator, device=generator.device)
    if is_real is None:
        n_kept = n_to_keep(n, keep)
        return rank_BKN.argsort(dim=-1)[..., :n_kept].sort(dim=-1).values
    real_B1N = is_real.to(rank_BKN.device).unsqueeze(1)
    # Padding comes last in every order, so the first places are the drawn ones.
    order_BKN = rank_BKN.masked_fill(~real_B1N, 2.0).argsort(dim=-1)
    n_real_B = real_B1N.sum(dim=-1, keepdim=True)
    n_kept_B = (n_real_B * keep).round().long().clamp(min=1).minimum(n_real_B)
    n_most = int(n_kept_B.max())
    is_none = torch.arange(n_most, device=order_BKN.device) >= n_kept_B
    return order_BKN[..., :n_most].masked_fill(is_none, n).sort(dim=-1).values


def draw_order(
    n: int,
    spread: float,
    *,
    generator: torch.Generator,
    sets: Sets = (1, 1),
    is_real: Bool[Tensor, "examples n"] | None = None,
) -> Int[Tensor, "examples kv_heads n"]:
    """Shuffle sources so that each moves only a few places.

    Args:
        n: positions.
        spread: standard deviation of the noise on a source's place, in positions, at least 0.
        generator: draws; on its device.
        sets: how many orders are drawn.
        is_real: False for padding, whose places in the order become `n`, which stands for none.

    Raises:
        ConfigError: if `spread` is below 0.
    """
    if not spread >= 0:
        raise ConfigError(f"spread = {spread}", hint="choose 0 or more positions")
    noise_BKN = torch.randn(*sets, n, generator=generator, device=generator.device)
    order_BKN = (torch.arange(n, device=generator.device) + spread * noise_BKN).argsort(dim=-1)
    if is_real is None:
        return order_BKN
    real_BKN = is_real.to(order_BKN.device).unsqueeze(1).expand(-1, order_BKN.shape[1], -1)
    order_BKN = order_BKN.expand(real_BKN.shape)
    return order_BKN.masked_fill(~real_BKN.gather(-1, order_BKN), n)


def draw_strata(
    n: int, stratum: int, *, generator: torch.Generator, sets: Sets = (1, 1)
) -> Int[Tensor, "examples kv_heads strata"]:
    """Keep one source of each stratum, so that any target has seen one of every earlier stratum.

    Stratum number g holds the positions above `(g - 1) * stratum` up to `g * stratum`; the first
    one holds position 0 alone.

    Args:
        n: positions.
        stratum: positions of a stratum, at least 1.
        generator: draws; on its device.
        sets: how many sets are drawn.

    Raises:
        ConfigError: if `stratum` is below 1.
    """
    if stratum < 1:
        raise ConfigError(f"stratum = {stratum}", hint="choose 1 position or more")
    n_strata = -(-n // stratum)
    back = torch.randint(stratum, (*sets, n_strata), generator=generator, device=generator.device)
    return (torch.arange(n_strata, device=generator.device) * stratum - back).clamp(min=0)


def n_to_keep(n: int, keep: float) -> int:
    """Give the number of sources that a share is: rounded, at least one."""
    return min(n, max(1, round(n * keep)))


def stratum_of(keep: float) -> int:
    """Give the length of a stratum of which one source is that share, as nearly as there is one."""
    check_keep(keep)
    return max(1, round(1 / keep))


def check_keep(keep: float) -> None:
    """Check a share of sources.

    Raises:
        ConfigError: if it is not above 0 and up to 1.
    """
    if not 0 < keep <= 1:
        raise ConfigError(f"keep = {keep}", hint="choose a share above 0 and up to 1, such as 0.25")
