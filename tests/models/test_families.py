"""Every family shows its linear layers; every other architecture is refused by name."""

import pytest
from transformers import ElectraConfig, ElectraModel

from sparsepath.errors import ModelError
from sparsepath.models.classifier import LAYER_PATHS, PathwayClassifier
from sparsepath.models.families import FAMILIES, encoder_sites


def test_sites_have_the_shapes_of_the_configuration(model: PathwayClassifier, family: str) -> None:
    sites = encoder_sites(model.encoder)
    assert sites.family == family
    assert sites.embedding.num_embeddings == 60
    assert len(sites.layers) == 3
    for layer in sites.layers:
        assert (layer.n_heads, layer.head_dim, layer.n_neurons) == (4, 8, 24)
        assert sum(x.out_features for x in layer.attention_in) == 3 * 32
        assert layer.is_fused == (family == "modernbert")
        assert layer.attention_out.in_features == 32
        assert layer.mlp_in.out_features == (48 if layer.is_glu else 24)
        assert layer.mlp_out.in_features == 24


def test_sites_of_different_layers_are_different_modules(model: PathwayClassifier) -> None:
    sites = encoder_sites(model.encoder)
    assert len({id(layer.mlp_out) for layer in sites.layers}) == 3


def test_an_unknown_architecture_gets_an_error_that_names_the_known_ones() -> None:
    encoder = ElectraModel(
        ElectraConfig(
            vocab_size=9,
            hidden_size=8,
            embedding_size=8,
            num_attention_heads=2,
            num_hidden_layers=1,
        )
    )
    with pytest.raises(ModelError, match="electra") as raised:
        encoder_sites(encoder)
    for family in ("bert", "roberta", "xlm-roberta", "distilbert", "modernbert", "MiniLM"):
        assert family in raised.value.hint


def test_every_family_that_is_named_can_be_cut() -> None:
    assert set(FAMILIES) == set(LAYER_PATHS)
