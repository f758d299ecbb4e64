"""Sparse image and graph transformers: what they keep, their weights, and that it survives."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForImageClassification, ViTConfig, ViTForImageClassification

from sparsepath.errors import ConfigError
from sparsepath.models.graph_transformer import GraphConfig, GraphTransformer
from sparsepath.models.topk_vit import TopKViTConfig, TopKViTForImageClassification
from sparsepath.nn.topk import TopK

SIZES: dict[str, Any] = {
    "image_size": 8,
    "patch_size": 4,
    "num_channels": 1,
    "hidden_size": 12,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 20,
}
SITES = {"block_out": 4, "mlp_hidden": 3}
PIXELS = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def vit(**settings: Any) -> TopKViTForImageClassification:
    torch.manual_seed(0)
    config = TopKViTConfig(**SIZES, **{"topk": SITES, "n_dense_layers": 1, **settings})
    return TopKViTForImageClassification(config).eval()


def graph(**settings: Any) -> GraphTransformer:
    torch.manual_seed(0)
    config = GraphConfig([5], [3], d_model=12, d_edge=4, n_layers=3, d_mlp=20, **settings)
    return GraphTransformer(config).eval()


GRAPHS = (
    torch.arange(12).view(2, 6, 1) % 5,
    torch.arange(72).view(2, 6, 6, 1) % 3,
    torch.ones(2, 6, dtype=torch.bool),
)


def kept_by(model: nn.Module, *inputs: Tensor) -> dict[str, int]:
    """Run a model and say how many entries of a row its keepers leave at most."""
    found: dict[str, int] = {}

    def look(name: str) -> Any:
        def note(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            found[name] = int((output != 0).sum(dim=-1).max())

        return note

    for name, module in model.named_modules():
        if isinstance(module, TopK):
            module.register_forward_hook(look(name))
    with torch.no_grad():
        model(*inputs)
    return found


def test_layers_but_the_last_keep_their_largest_entries() -> None:
    assert list(kept_by(vit(), PIXELS).values()) == [3, 4, 3, 4]
    found = kept_by(graph(topk=SITES, n_dense_layers=1), *GRAPHS)
    assert list(found.values()) == [3, 4, 3, 4]


def test_what_a_block_keeps_is_what_the_next_one_reads() -> None:
    model, read = vit(), []
    model.vit.layers[1].register_forward_pre_hook(lambda _module, inputs: read.append(inputs[0]))
    model(PIXELS)
    assert (read[0] != 0).sum(dim=-1).max() == SITES["block_out"]


def test_weights_are_those_of_the_dense_model() -> None:
    torch.manual_seed(0)
    dense = ViTForImageClassification(ViTConfig(**SIZES)).eval()
    pairs = zip(dense.state_dict().items(), vit().state_dict().items(), strict=True)
    assert all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)
    whole = {"block_out": 12, "mlp_hidden": 20}
    torch.testing.assert_close(vit(topk=whole)(PIXELS).logits, dense(PIXELS).logits)
    assert graph().state_dict().keys() == graph(topk=SITES).state_dict().keys()
    torch.testing.assert_close(graph(topk=whole)(*GRAPHS).values, graph()(*GRAPHS).values)


def test_a_saved_model_is_sparse_again(tmp_path: Path) -> None:
    model = vit(topk_by="magnitude", n_always_on=2, topk_positive=True)
    model.save_pretrained(tmp_path / "vit")
    again = AutoModelForImageClassification.from_pretrained(tmp_path / "vit").eval()
    assert isinstance(again, TopKViTForImageClassification)
    assert torch.equal(again(PIXELS).logits, model(PIXELS).logits)
    site = again.vit.layers[0].block_out
    assert (site.by, site.n_always_on, site.is_positive) == ("magnitude", 2, True)
    assert not site.fired.any()
    drawn = graph(topk=SITES, n_dense_layers=2, topk_by={"mlp_hidden": "magnitude"})
    drawn.save_pretrained(tmp_path / "graph")
    loaded = GraphTransformer.from_pretrained(tmp_path / "graph").eval()
    assert torch.equal(loaded(*GRAPHS).values, drawn(*GRAPHS).values)
    keepers = [module for module in loaded.modules() if isinstance(module, TopK)]
    assert sorted(keeper.by for keeper in keepers) == ["magnitude", "value"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"topk": {"attn_in": 4}}, "no site 'attn_in'"),
        ({"topk": {"block_out": 13}}, "k = 13"),
        ({"n_dense_layers": 3}, "3 of 3 layers"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], said: str) -> None:
    for make in (vit, graph):
        with pytest.raises(ConfigError, match=said):
            make(**{"topk": SITES} | wrong)
