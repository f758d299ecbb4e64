"""A text classifier whose Hugging Face encoder may have lost layers, heads and neurons.

This file stands alone: it needs only torch and transformers, because a copy of it travels in every
saved model folder, so that `AutoModelForSequenceClassification.from_pretrained(folder,
trust_remote_code=True)` works where sparsepath is not installed. For the same reason it raises
`ValueError` instead of sparsepath's errors and has no jaxtyping shapes.

The encoder stays Hugging Face's own class. After it is built with as many layers as were kept, the
linear layers of each are replaced by smaller ones; an attention that lost every head is replaced by
a stub that gives its output bias. What each layer kept is in `PathwayConfig.layers`, and so is
where a layer keeps only the largest entries of a hidden state: a saved sparse model never runs
dense unnoticed.

Shape letters: B examples, T tokens, D width of the residual stream, C labels.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, initialization
from transformers.activations import ACT2FN
from transformers.configuration_utils import PretrainedConfig
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.modeling_utils import PreTrainedModel

try:
    from sparsepath.nn.topk import TopK
except ImportError:  # beside saved weights, without sparsepath: what inference needs

    class TopK(nn.Module):  # type: ignore[no-redef]
        """Keeps the largest entries of the last axis; for inference."""

        def __init__(self, width: int, k: int, *, by: str = "value") -> None:
            """Take the settings; how gradients pass does not matter here."""
            super().__init__()
            self.k, self.by = k, by

        def forward(self, x: Tensor) -> Tensor:
            """Keep the largest entries; ties go to the lowest index, as a stable sort has them."""
            size = x.abs() if self.by == "magnitude" else x
            order = (size + 0.0).sort(dim=-1, descending=True, stable=True).indices[..., : self.k]
            return torch.zeros_like(x).scatter(-1, order, x.gather(-1, order))


SITES = ("block_out", "mlp_hidden")
"""Where a layer's hidden state can be sparse: the residual stream after it, and the neurons of its
MLP, after the activation (and the gate) and before the output projection."""


class LayerPaths(NamedTuple):
    """Where a family of encoders keeps the parts of a layer; dotted paths from the layer."""

    layers: str
    """The list of layers, from the encoder."""
    attention: str
    """The module that a stub replaces when no head is left."""
    attention_in: tuple[str, ...]
    """Query, key and value projections, or the fused one."""
    attention_out: str
    """The projection from heads to the residual stream."""
    mlp_in: str
    """The projection from the residual stream to neurons (to twice as many in a GLU)."""
    mlp_out: str
    """The projection from neurons to the residual stream."""
    is_glu: bool = False
    """`mlp_in` gives all activations first, then all gates."""


_BERT = LayerPaths(
    layers="encoder.layer",
    attention="attention.self",
    attention_in=("attention.self.query", "attention.self.key", "attention.self.value"),
    attention_out="attention.output.dense",
    mlp_in="intermediate.dense",
    mlp_out="output.dense",
)

LAYER_PATHS: Mapping[str, LayerPaths] = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "distilbert": LayerPaths(
        layers="transformer.layer",
        attention="attention",
        attention_in=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        attention_out="attention.out_lin",
        mlp_in="ffn.lin1",
        mlp_out="ffn.lin2",
    ),
    "modernbert": LayerPaths(
        layers="layers",
        attention="attn",
        attention_in=("attn.Wqkv",),
        attention_out="attn.Wo",
        mlp_in="mlp.Wi",
        mlp_out="mlp.Wo",
        is_glu=True,
    ),
}
"""The families that can be cut, by Hugging Face `model_type`."""


class PathwayConfig(PretrainedConfig):
    """What is left of an encoder, and how its tokens become labels."""

    model_type = "sparsepath_classifier"
    _auto_class = "AutoConfig"
    # Declared, because transformers refuses to save an undeclared `max_length`: it also has one.
    max_length: int = 128

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        layers: Sequence[Mapping[str, Any]] | None = None,
        pooling: str = "mean",
        max_length: int = 128,
        classifier_dropout: float = 0.1,
        head: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep the settings; nothing is built here.

        Args:
            encoder: Hugging Face configuration of the body, with as many layers as were kept
                (with one where none was).
            layers: one entry per kept layer: `source` (its number in the first model), `heads`
                (their numbers there), `neurons` (how many) and `bias` (whether both outputs carry
                a bias even where the family has none); a sparse layer also `topk`: by site, `k`
                entries that are kept and what is largest, `by` "value" or "magnitude".
            pooling: "mean" over real tokens, or "cls" for the first token.
            max_length: tokens of a text that are read.
            classifier_dropout: probability of dropping an entry of the pooled vector in training.
            head: what lies between pooling and classifier, as in Hugging Face's own classifiers:
                `activation` (a name of transformers), `bias`, and `norm_eps` and `norm_bias` of a
                norm behind it, `norm_eps` None where there is none. None: nothing does.
            **kwargs: settings that every Hugging Face configuration has, such as `id2label`.
        """
        if pooling not in {"mean", "cls"}:
            raise ValueError(f"pooling is {pooling!r}; it must be 'mean' or 'cls'")
        self.encoder = dict(encoder or {})
        self.layers = [dict(layer) for layer in layers or ()]
        self.pooling = pooling
        self.max_length = max_length
        self.classifier_dropout = classifier_dropout
        self.head = None if head is None else dict(head)
        super().__init__(**kwargs)


class NoHeads(nn.Module):
    """An attention that lost every head: what remains is the bias of its output."""

    def __init__(self, attention: nn.Module, out_name: str | None) -> None:
        """Take over the parts of `attention`; `out_name` is its output projection, if inside."""
        super().__init__()
        for name, child in attention.named_children():
            self.add_module(name, child)
        self.out_name = out_name

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, None]:
        """Project no heads at all."""
        nothing = hidden_states.new_zeros((*hidden_states.shape[:-1], 0))
        if self.out_name is None:
            return nothing, None
        return self.get_submodule(self.out_name)(nothing), None


class SparseSite(nn.Module):
    """Keeps the largest entries of a hidden state that passes through a hook."""

    def __init__(self, topk: TopK) -> None:
        """Take what keeps them."""
        super().__init__()
        self.topk = topk

    def into(self, _module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Keep the largest entries of a module's input."""
        return (self.topk(args[0]), *args[1:])

    def out_of(self, _module: nn.Module, _args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Keep the largest entries of a module's output."""
        kept: Tensor = self.topk(output)
        return kept


class Head(nn.Module):
    """A layer between the pooled vector and the classifier."""

    def __init__(self, width: int, settings: Mapping[str, Any]) -> None:
        """Build what `PathwayConfig.head` describes, with random weights."""
        super().__init__()
        if settings["activation"] not in ACT2FN:
            raise ValueError(f"head.activation is {settings['activation']!r}, which is unknown")
        self.dense = nn.Linear(width, width, bias=settings["bias"])
        self.activation = ACT2FN[settings["activation"]]
        eps = settings["norm_eps"]
        self.norm: nn.Module = nn.Identity()
        if eps is not None:
            self.norm = nn.LayerNorm(width, eps=eps, bias=settings["norm_bias"])

    def forward(self, pooled: Tensor) -> Tensor:
        """Map pooled vectors, [B, D], to as many of the same width."""
        mapped: Tensor = self.norm(self.activation(self.dense(pooled)))
        return mapped


class PathwayClassifier(PreTrainedModel):
    """Encoder, pooling, perhaps a head, and one linear layer; the encoder may have been cut."""

    config: PathwayConfig
    config_class = PathwayConfig
    base_model_prefix = "encoder"
    main_input_name = "input_ids"
    _auto_class = "AutoModelForSequenceClassification"
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _no_split_modules: list[str] = []  # noqa: RUF012 - the name and form transformers reads

    def __init__(self, config: PathwayConfig) -> None:
        """Build the encoder that `config.layers` describes, with random weights."""
        super().__init__(config)
        self.encoder = _build_encoder(config)
        self.sparse = _make_sparse(self.encoder, config)
        width = int(self.encoder.config.hidden_size)
        self.head = nn.Identity() if config.head is None else Head(width, config.head)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(width, len(config.id2label or {}))
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the word embeddings."""
        return self.encoder.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the word embeddings."""
        self.encoder.set_input_embeddings(value)

    def _init_weights(self, module: nn.Module) -> None:
        """Start the classifier small; the encoder initialises its own parts."""
        # transformers' own functions leave alone what was already loaded
        if isinstance(module, nn.Linear):
            initialization.normal_(module.weight, std=0.02)
            if module.bias is not None:
                initialization.zeros_(module.bias)
        if isinstance(module, nn.LayerNorm):  # the head's
            initialization.ones_(module.weight)
            if module.bias is not None:
                initialization.zeros_(module.bias)
        if isinstance(module, TopK):  # its counts are no weights and come with no file
            for buffer in module.buffers(recurse=False):
                initialization.zeros_(buffer)

    def pool(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Return one vector per text, [B, D]: what the classifier reads."""
        return self._pool(self._encode(input_ids, attention_mask, kwargs)[0], attention_mask)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput | tuple[Any, ...]:
        """Score every label.

        Args:
            input_ids: token ids, [B, T]; or pass `inputs_embeds`.
            attention_mask: 1 for real tokens, 0 for padding, [B, T]; all real when absent.
            labels: label numbers, [B]; gives `loss`, the mean cross-entropy in nats.
            **kwargs: `output_hidden_states`, `output_attentions`, `inputs_embeds`, `return_dict`.
        """
        return_dict = kwargs.pop("return_dict", None)
        outputs = self._encode(input_ids, attention_mask, kwargs)
        pooled = self._pool(outputs[0], attention_mask)
        logits = self.classifier(self.dropout(pooled))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        result = SequenceClassifierOutput(
            loss=loss,
            logits=logits,
            hidden_states=outputs.get("hidden_states"),
            attentions=outputs.get("attentions"),
        )
        return result.to_tuple() if return_dict is False else result

    def _encode(self, input_ids: Tensor | None, mask: Tensor | None, kwargs: dict[str, Any]) -> Any:
        """Run the encoder; token types are ignored, since a text is a single segment."""
        known = {k: v for k, v in kwargs.items() if k not in {"token_type_ids", "use_cache"}}
        if input_ids is not None:
            known["input_ids"] = input_ids
        return self.encoder(attention_mask=mask, **known)

    def _pool(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Reduce the tokens of each text, [B, T, D], to one vector, and let the head map it."""
        if self.config.pooling == "cls":
            pooled = hidden[:, 0]
        elif mask is None:
            pooled = hidden.mean(dim=1)
        else:
            weight_BT1 = mask.to(hidden.dtype).unsqueeze(-1)
            pooled = (hidden * weight_BT1).sum(dim=1) / weight_BT1.sum(dim=1).clamp_min(1.0)
        mapped: Tensor = self.head(pooled)
        return mapped


def body_config(encoder: Mapping[str, Any]) -> PretrainedConfig:
    """Rebuild the Hugging Face configuration of a body from `PathwayConfig.encoder`."""
    settings = dict(encoder)
    family = settings.pop("model_type", None)
    if family not in LAYER_PATHS:
        raise ValueError(f"encoder family {family!r} is not one of {', '.join(LAYER_PATHS)}")
    return AutoConfig.for_model(family, **settings)


def _build_encoder(config: PathwayConfig) -> PreTrainedModel:
    """Build a Hugging Face body and give each layer the sizes that `config.layers` states."""
    body = body_config(config.encoder)
    family = str(body.model_type)
    if body.num_hidden_layers != max(1, len(config.layers)):
        raise ValueError(
            f"the encoder has {body.num_hidden_layers} layers, {len(config.layers)} are described"
        )
    pooler = {} if family in {"distilbert", "modernbert"} else {"add_pooling_layer": False}
    encoder: PreTrainedModel = AutoModel.from_config(
        body, attn_implementation=config._attn_implementation or "sdpa", **pooler
    )
    layers = encoder.get_submodule(LAYER_PATHS[family].layers)
    if not config.layers:
        # ModernBERT's configuration cannot say "no layers", so one is described and taken away.
        set_module(encoder, LAYER_PATHS[family].layers, nn.ModuleList())
        return encoder
    head_dim = body.hidden_size // body.num_attention_heads
    for layer, kept in zip(layers.children(), config.layers, strict=True):
        resize_layer(layer, family, len(kept["heads"]) * head_dim, kept["neurons"], kept["bias"])
    if family == "modernbert" and config.layers[0]["source"] != 0:
        # Hugging Face gives its first layer no norm, and here another layer comes first.
        first = next(iter(layers.children()))
        first.attn_norm = nn.LayerNorm(body.hidden_size, eps=body.norm_eps, bias=body.norm_bias)
    return encoder


def _make_sparse(encoder: PreTrainedModel, config: PathwayConfig) -> nn.ModuleDict:
    """Let the layers keep what `config.layers` states; hooks that come later see what was kept."""
    sparse = nn.ModuleDict()
    paths = LAYER_PATHS[str(encoder.config.model_type)]
    layers = encoder.get_submodule(paths.layers).children()
    for number, (layer, kept) in enumerate(zip(layers, config.layers, strict=True)):
        for site, setting in kept.get("topk", {}).items():
            if site not in SITES:
                raise ValueError(f"topk names {site!r}; the sites are {', '.join(SITES)}")
            mlp_out: Any = layer.get_submodule(paths.mlp_out)
            is_hidden = site == "mlp_hidden"
            width = int(mlp_out.in_features) if is_hidden else int(encoder.config.hidden_size)
            if not 1 <= setting["k"] <= width or setting["by"] not in {"value", "magnitude"}:
                raise ValueError(f"topk of layer {number} keeps {setting} of {width} entries")
            found = SparseSite(TopK(width, setting["k"], by=setting["by"]))
            if is_hidden:
                mlp_out.register_forward_pre_hook(found.into)
            else:
                layer.register_forward_hook(found.out_of)
            sparse[f"{number}_{site}"] = found
    return sparse


def resize_layer(
    layer: nn.Module, family: str, heads_width: int, n_neurons: int, has_bias: bool
) -> None:
    """Replace the linear layers of a layer by ones of the given sizes, with undefined weights.

    Args:
        layer: a layer of a Hugging Face encoder, changed in place.
        family: its `model_type`.
        heads_width: number of heads times the width of a head.
        n_neurons: neurons of the MLP.
        has_bias: give both outputs a bias even where the family has none.
    """
    paths = LAYER_PATHS[family]
    fused = len(paths.attention_in) == 1
    for path in paths.attention_in:
        _replace(layer, path, out_features=heads_width * (3 if fused else 1))
    _replace(layer, paths.attention_out, in_features=heads_width, bias=has_bias)
    _replace(layer, paths.mlp_in, out_features=n_neurons * (2 if paths.is_glu else 1))
    _replace(layer, paths.mlp_out, in_features=n_neurons, bias=has_bias)
    if heads_width == 0:
        inside = paths.attention_out.startswith(paths.attention + ".")
        out_name = paths.attention_out.removeprefix(paths.attention + ".") if inside else None
        stub = NoHeads(layer.get_submodule(paths.attention), out_name)
        set_module(layer, paths.attention, stub)


def set_module(root: nn.Module, path: str, module: nn.Module) -> None:
    """Put `module` at the dotted `path` below `root`."""
    parent, _, name = path.rpartition(".")
    setattr(root.get_submodule(parent), name, module)


def _replace(
    layer: nn.Module,
    path: str,
    *,
    in_features: int | None = None,
    out_features: int | None = None,
    bias: bool = False,
) -> None:
    """Replace a linear layer by one of another size; a bias it has is never lost."""
    old = layer.get_submodule(path)
    if not isinstance(old, nn.Linear):
        raise ValueError(f"{path} is {type(old).__name__}, expected a linear layer")
    n_in = old.in_features if in_features is None else in_features
    n_out = old.out_features if out_features is None else out_features
    has_bias = old.bias is not None or bias
    if (n_in, n_out, has_bias) == (old.in_features, old.out_features, old.bias is not None):
        return
    # torch warns when it initialises an empty matrix, so a size of at least one comes first.
    new = nn.Linear(1, 1, bias=has_bias, device=old.weight.device, dtype=old.weight.dtype)
    new.in_features, new.out_features = n_in, n_out
    new.weight = nn.Parameter(old.weight.new_empty((n_out, n_in)))
    if has_bias:
        new.bias = nn.Parameter(old.weight.new_zeros(n_out))
    set_module(layer, path, new)


def from_encoder(
    encoder: PreTrainedModel,
    labels: Sequence[str],
    *,
    pooling: str = "mean",
    max_length: int = 128,
    head: Mapping[str, Any] | None = None,
    generator: torch.Generator | None = None,
) -> PathwayClassifier:
    """Put a new classifier on a whole Hugging Face encoder, which becomes part of the result.

    Args:
        encoder: body of a known family; an unused pooling layer is dropped from it.
        labels: names of the labels, in the order of the logits.
        pooling: "mean" over real tokens, or "cls".
        max_length: tokens of a text that are read.
        head: what lies between pooling and classifier, as `PathwayConfig` has it; its weights are
            undefined, for the caller to set.
        generator: randomness of the classifier's first weights.
    """
    if getattr(encoder, "pooler", None) is not None:
        setattr(encoder, "pooler", None)  # noqa: B010 - its type does not say that it may be None
    body = encoder.config.to_dict()
    body.pop("_name_or_path", None)  # a path of this machine, of no use to others
    config = PathwayConfig(
        encoder=body,
        layers=_describe_layers(encoder),
        pooling=pooling,
        max_length=max_length,
        head=head,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        pad_token_id=encoder.config.pad_token_id,
    )
    with torch.device("meta"):
        model = PathwayClassifier(config)
    model.encoder = encoder
    model.head.to_empty(device=encoder.device)
    weight = next(encoder.parameters())
    model.classifier = nn.Linear(
        encoder.config.hidden_size, len(labels), device=weight.device, dtype=weight.dtype
    )
    nn.init.normal_(model.classifier.weight, std=0.02, generator=generator)
    nn.init.zeros_(model.classifier.bias)
    model.train(False)
    return model


def _describe_layers(encoder: PreTrainedModel) -> list[dict[str, Any]]:
    """Describe every layer of a whole encoder for `PathwayConfig.layers`."""
    paths = LAYER_PATHS[encoder.config.model_type]
    described = []
    for source, layer in enumerate(encoder.get_submodule(paths.layers).children()):
        mlp_out = layer.get_submodule(paths.mlp_out)
        described.append(
            {
                "source": source,
                "heads": list(range(encoder.config.num_attention_heads)),
                "neurons": mlp_out.in_features,
                "bias": False,
            }
        )
    return described
