import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsepath.artifacts.neuron import SITES, Neuron
from sparsepath.errors import ConfigError


@given(
    st.integers(0, 9999),
    st.sampled_from(SITES),
    st.integers(0, 9_999_999),
    st.sampled_from(["", "+", "-"]),
)
def test_a_name_is_read_back(layer: int, site: str, index: int, side: str) -> None:
    neuron = Neuron(layer, site, index, side)  # type: ignore[arg-type]
    assert Neuron.parse(neuron.name) == neuron
    assert Neuron.parse(neuron.entry.name) == Neuron(layer, site, index)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "neuron"),
    [
        ("L02/117", Neuron(2, "block_out", 117)),
        ("L02.M0117", Neuron(2, "mlp_hidden", 117)),
        ("L2.M117", Neuron(2, "mlp_hidden", 117)),
        (" L11.attn_in/3 ", Neuron(11, "attn_in", 3)),
        ("L02/117-", Neuron(2, "block_out", 117, "-")),
        ("L02.M0117+", Neuron(2, "mlp_hidden", 117, "+")),
    ],
)
def test_names_people_write(name: str, neuron: Neuron) -> None:
    assert Neuron.parse(name) == neuron


@pytest.mark.parametrize(
    "name", ["", "L02", "02/117", "L02.head/1", "L02/-1", "L02.M", "L02/1x", "L02/1--"]
)
def test_what_is_no_name_is_told(name: str) -> None:
    with pytest.raises(ConfigError, match="names no neuron"):
        Neuron.parse(name)
