"""What is kept, how the gradient passes, how k falls, who fired."""

import pytest
import torch

from sparsepath.errors import ConfigError
from sparsepath.nn.topk import KSchedule, TopK

X = torch.tensor([[3.0, -5.0, 1.0, 0.5, -0.1], [-1.0, -2.0, -3.0, -4.0, -0.5]])


def test_by_value_and_by_magnitude() -> None:
    assert TopK(5, 2)(X).tolist() == [[3.0, 0.0, 1.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0, -0.5]]
    signed = TopK(5, 2, by="magnitude")(X)
    assert signed.tolist() == [[3.0, -5.0, 0.0, 0.0, 0.0], [0.0, 0.0, -3.0, -4.0, 0.0]]


def test_positive_ones_only() -> None:
    kept = TopK(5, 2, is_positive=True)(X)
    assert kept.tolist() == [[3.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]]


def test_the_first_entries_are_always_on_beside_the_k() -> None:
    kept = TopK(5, 1, n_always_on=2)(X)
    assert kept.tolist() == [[3.0, -5.0, 1.0, 0.0, 0.0], [-1.0, -2.0, 0.0, 0.0, -0.5]]


@pytest.mark.parametrize("by", ["value", "magnitude"])
def test_the_gradient_passes_to_kept_entries_or_straight_through(by: str) -> None:
    x = X.clone().requires_grad_()
    layer = TopK(5, 2, by=by)  # type: ignore[arg-type]
    (found,) = torch.autograd.grad(layer(x).sum(), x)
    assert torch.equal(found, (layer(X) != 0).float())
    through = TopK(5, 2, by=by, is_straight_through=True)  # type: ignore[arg-type]
    assert torch.equal(through(X), layer(X))
    (found,) = torch.autograd.grad(through(x).sum(), x)
    assert torch.equal(found, torch.ones_like(X))


def test_k_can_fall_and_everything_is_kept_above_what_competes() -> None:
    layer = TopK(5, 2, n_always_on=1)
    layer.set_k(99)
    assert torch.equal(layer(X), X)
    layer.set_k(1)
    assert int((layer(X)[0] != 0).sum()) == 2
    with pytest.raises(ConfigError, match="k = 0"):
        layer.set_k(0)


def test_firing_is_counted_in_training_only_and_can_be_forgotten() -> None:
    layer = TopK(5, 2)
    layer(X)
    layer(X[:1])
    assert layer.fired.tolist() == [3, 0, 2, 0, 1]
    assert float(layer.n_rows) == 3
    layer.eval()
    layer(X)
    assert float(layer.n_rows) == 3
    layer.forget()
    assert float(layer.fired.sum()) == 0
    assert layer.state_dict() == {}


@pytest.mark.parametrize("settings", [{"k": 0}, {"k": 6}, {"k": 5, "n_always_on": 1}])
def test_numbers_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="choose k from 1"):
        TopK(5, **settings)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_k_falls_from_all_to_k_and_stays(shape: str) -> None:
    schedule = KSchedule(shape=shape, share=0.5)  # type: ignore[arg-type]
    ks = [schedule.at(step, 100, k=16, width=128) for step in range(100)]
    assert ks[0] == 128
    assert ks == sorted(ks, reverse=True)
    assert set(ks[50:]) == {16}
    assert ks[25] == 72
    assert KSchedule(shape="none").at(0, 100, k=16, width=128) == 16
    with pytest.raises(ConfigError, match="share = 2"):
        KSchedule(share=2.0)


def test_what_dead_entries_lack_is_measured_and_brings_them_back() -> None:
    layer = TopK(4, 2)
    x = torch.tensor([[3.0, 2.0, 1.0, -1.0], [5.0, 1.0, 0.5, -1.0]], requires_grad=True)
    layer(x)
    assert layer.revival is None
    layer.revive()
    layer(x)
    # The third entry lacks 1 and 0.5, the fourth 3 and 2.
    assert layer.revival is not None
    assert float(layer.revival.detach()) == pytest.approx((1 + 0.5 + 3 + 2) / 4)
    layer.revival.backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.tensor([[0, 0, -0.25, -0.25]] * 2))
    layer.eval()
    layer(x)
    assert layer.revival is None
    layer.train()
    layer(torch.eye(4)[:, [0, 1, 2, 3]] + torch.eye(4)[:, [1, 2, 3, 0]])
    assert layer.revival is not None
    assert float(layer.revival.detach()) == 0.0
    layer.set_k(4)
    layer(x)
    assert layer.revival is None


def test_a_bias_that_kills_an_entry_is_unlearnt() -> None:
    generator = torch.Generator().manual_seed(0)
    linear, layer = torch.nn.Linear(8, 16), TopK(16, 4)
    with torch.no_grad():
        linear.bias[:8] = -10.0
    rows = torch.randn(64, 8, generator=generator)
    layer.revive()
    optimizer = torch.optim.Adam(linear.parameters(), lr=0.1)
    assert int((layer(linear(rows)) != 0).any(dim=0).sum()) == 8
    for _ in range(150):
        layer(linear(rows))
        assert layer.revival is not None
        if not layer.revival.requires_grad:
            break
        optimizer.zero_grad()
        layer.revival.backward()
        optimizer.step()
    assert int((layer(linear(rows)) != 0).any(dim=0).sum()) == 16


def test_entries_that_relu_drops_get_no_gradient_though_they_were_kept() -> None:
    x = torch.tensor([[1.0, -2.0, -1.0, -3.0]], requires_grad=True)
    y = TopK(4, 3, is_positive=True)(x)
    y.sum().backward()
    assert torch.equal(y.detach(), torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
    assert x.grad is not None
    assert torch.equal(x.grad, torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
