"""A Transformer over the nodes of a graph, whose edges have channels of their own (EGT).

Nodes attend to all nodes; every pair of them is an edge. Edge channels shift each attention score
and gate each attention weight, and are updated by the scores. Sources may be subsampled: then only
the edges to sources that are kept count, and are updated.

Shape letters: B graphs, N nodes, M kept nodes, H heads, D width of nodes, E width of edges.

Source: Hussain, Zaki and Subramanian 2022, "Global Self-Attention as a Replacement for Graph
Convolution", arXiv 2108.03348 (sections 3.2 and 3.3), the edge-augmented graph transformer;
subsampling as in arXiv 2306.01705. Ours: categories of atoms and bonds as inputs, mean readout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from sparsepath.models.sparse_layers import (
    SparseConfig,
    after,
    check_sites,
    clear_counters,
    is_sparse,
    keeper,
)
from sparsepath.nn.subsampling import drawn_sources

CLIP = 5.0
"""Dot products are clipped to this on either side, as in the paper."""


class GraphConfig(SparseConfig, PretrainedConfig):
    """Sizes of a graph transformer."""

    model_type = "sparsepath-graph"

    def __init__(  # noqa: PLR0913 - a shape has so many sizes
        self,
        atom_categories: Sequence[int] = (),
        bond_categories: Sequence[int] = (),
        d_model: int = 64,
        d_edge: int = 16,
        n_layers: int = 4,
        n_heads: int = 4,
        d_mlp: int = 128,
        dropout: float = 0.0,
        **settings: Any,
    ) -> None:
        """Keep the sizes; categories are how many values each feature of an atom or pair has.

        What layers keep of nodes stands in `settings`, as `SparseConfig` says.
        """
        self.atom_categories, self.bond_categories = list(atom_categories), list(bond_categories)
        self.d_model, self.d_edge, self.n_layers = d_model, d_edge, n_layers
        self.n_heads, self.d_mlp, self.dropout = n_heads, d_mlp, dropout
        self.take(settings)
        super().__init__(**settings)


@dataclass
class GraphOutput:
    """What a graph transformer gives."""

    values: Float[Tensor, " graphs"]
    """One number a graph."""


class Categories(nn.Module):
    """The sum of an embedding of each feature."""

    def __init__(self, categories: list[int], width: int) -> None:
        """Make one table for all features."""
        super().__init__()
        self.starts = [sum(categories[:i]) for i in range(len(categories))]
        self.table = nn.Embedding(max(1, sum(categories)), width)

    def forward(self, values: Int[Tensor, "*places features"]) -> Float[Tensor, "*places width"]:
        """Add the embeddings of all features."""
        starts = torch.tensor(self.starts, device=values.device)
        added: Tensor = self.table(values + starts).sum(dim=-2)
        return added


class EdgeAttention(nn.Module):
    """Attention of nodes that edges shift and gate, and that updates edges."""

    is_causal = False

    def __init__(self, config: GraphConfig) -> None:
        """Make the projections."""
        super().__init__()
        self.n_heads = config.n_heads
        self.norm_nodes, self.norm_edges = nn.LayerNorm(config.d_model), nn.LayerNorm(config.d_edge)
        self.projections = nn.Linear(config.d_model, 3 * config.d_model)
        self.shift = nn.Linear(config.d_edge, config.n_heads)
        self.gate = nn.Linear(config.d_edge, config.n_heads)
        self.nodes_out = nn.Linear(config.d_model, config.d_model)
        self.edges_out = nn.Linear(config.n_heads, config.d_edge)

    def forward(
        self,
        nodes: Float[Tensor, "graphs n width"],
        edges: Float[Tensor, "graphs n n edge_width"],
        is_real: Bool[Tensor, "graphs n"],
    ) -> tuple[Float[Tensor, "graphs n width"], Float[Tensor, "graphs n n edge_width"]]:
        """Return what is added to nodes and to edges."""
        projected = self.projections(self.norm_nodes(nodes)).unflatten(-1, (3, self.n_heads, -1))
        query_BHND, key_BHND, value_BHND = projected.permute(2, 0, 3, 1, 4)
        kept_BM = self._kept(is_real)
        if kept_BM is not None:
            places = kept_BM.clamp(max=is_real.shape[1] - 1)
            key_BHND, value_BHND = (_taken(x, places) for x in (key_BHND, value_BHND))
            columns = places[:, None, :, None].expand(-1, edges.shape[1], -1, edges.shape[-1])
            seen_edges = edges.gather(2, columns)
            is_seen = kept_BM < is_real.shape[1]
        else:
            seen_edges, is_seen = edges, is_real
        normed = self.norm_edges(seen_edges)
        scale = query_BHND.shape[-1] ** -0.5
        scores_BHNM = (query_BHND @ key_BHND.mT * scale).clamp(-CLIP, CLIP)
        scores_BHNM = scores_BHNM + self.shift(normed).permute(0, 3, 1, 2)
        open_BHNM = self.gate(normed).permute(0, 3, 1, 2).sigmoid() * is_seen[:, None, None, :]
        weights = scores_BHNM.masked_fill(~is_seen[:, None, None, :], -torch.inf).softmax(dim=-1)
        # How many sources are open is lost by the softmax; the paper's scaler brings it back.
        degree_BHN = open_BHNM.sum(dim=-1, keepdim=True).log1p()
        mixed = (weights * open_BHNM) @ value_BHND * degree_BHN
        to_nodes = self.nodes_out(mixed.transpose(1, 2).flatten(2))
        to_edges = self.edges_out(scores_BHNM.permute(0, 2, 3, 1)) * is_seen[:, None, :, None]
        if kept_BM is not None:
            to_edges = torch.zeros_like(edges).scatter_add(2, columns, to_edges)
        return to_nodes, to_edges

    def _kept(self, is_real: Tensor) -> Tensor | None:
        """Draw the nodes that are sources; None for all."""
        positions = drawn_sources(self, 1, is_real)
        return None if positions is None else positions[:, 0].expand(len(is_real), -1)


class GraphLayer(nn.Module):
    """Attention, then an MLP for nodes and one for edges; norms come first."""

    def __init__(self, config: GraphConfig, number: int = 0) -> None:
        """Make the parts of a layer; the first has number 0."""
        super().__init__()
        self.attention = EdgeAttention(config)
        self.node_mlp = _mlp(config.d_model, config.d_mlp)
        self.block_out: nn.Module = nn.Identity()
        if is_sparse(config, number, config.n_layers):
            kept = keeper(config, "mlp_hidden", config.d_mlp)
            self.node_mlp[2] = after(self.node_mlp[2], kept)
            self.block_out = keeper(config, "block_out", config.d_model) or self.block_out
        self.edge_mlp = _mlp(config.d_edge, 2 * config.d_edge)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        nodes: Float[Tensor, "graphs n width"],
        edges: Float[Tensor, "graphs n n edge_width"],
        is_real: Bool[Tensor, "graphs n"],
    ) -> tuple[Float[Tensor, "graphs n width"], Float[Tensor, "graphs n n edge_width"]]:
        """Return new nodes and edges."""
        to_nodes, to_edges = self.attention(nodes, edges, is_real)
        nodes, edges = nodes + self.dropout(to_nodes), edges + self.dropout(to_edges)
        nodes = self.block_out(nodes + self.dropout(self.node_mlp(nodes)))
        return nodes, edges + self.dropout(self.edge_mlp(edges))


class GraphTransformer(PreTrainedModel):
    """Predicts one number for each graph."""

    config: GraphConfig
    config_class = GraphConfig
    main_input_name = "atoms"
    _supports_attention_backend = True

    def __init__(self, config: GraphConfig) -> None:
        """Build it with random weights.

        Raises:
            ConfigError: if a sparse site is unknown, or a number is out of range.
        """
        check_sites(config, config.n_layers)
        super().__init__(config)
        self.atom_embedding = Categories(config.atom_categories, config.d_model)
        self.bond_embedding = Categories(config.bond_categories, config.d_edge)
        self.layers = nn.ModuleList(GraphLayer(config, i) for i in range(config.n_layers))
        self.norm = nn.LayerNorm(config.d_model)
        self.readout = _mlp(config.d_model, config.d_model, 1)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Leave every part as PyTorch starts it."""
        clear_counters(module)

    @classmethod
    def _can_set_attn_implementation(cls) -> bool:
        """Say that sources can be drawn, although the attention is this file's own."""
        return True

    def forward(
        self,
        atoms: Int[Tensor, "graphs n atom_features"],
        bonds: Int[Tensor, "graphs n n bond_features"],
        is_real: Bool[Tensor, "graphs n"],
    ) -> GraphOutput:
        """Predict.

        Args:
            atoms: categories of each node.
            bonds: categories of each pair of nodes.
            is_real: False for padding.
        """
        nodes, edges = self.atom_embedding(atoms), self.bond_embedding(bonds)
        for layer in self.layers:
            nodes, edges = layer(nodes, edges, is_real)
        real_BN1 = is_real.unsqueeze(-1)
        pooled_BD = (self.norm(nodes) * real_BN1).sum(dim=1) / real_BN1.sum(dim=1).clamp(min=1)
        return GraphOutput(self.readout(pooled_BD).squeeze(-1))


def _mlp(width: int, hidden: int, out: int | None = None) -> nn.Sequential:
    """Make a norm and two layers."""
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, out or width)
    )


def _taken(values: Tensor, places: Tensor) -> Tensor:
    """Gather nodes of keys or values."""
    index = places[:, None, :, None].expand(-1, values.shape[1], -1, values.shape[-1])
    return values.gather(2, index)
