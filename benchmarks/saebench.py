"""Our metrics of features beside SAEBench's own functions, on the same model, texts and draws.

    PYTHONPATH=src INTERPRETER benchmarks/saebench.py MODEL --data DATA [--layer 0] [--k 20]

INTERPRETER has `sae-bench` 0.6.0, which wants an older numpy, and what sparsepath needs for
training: an environment of its own. MODEL is a dense language model of the Llama kind, of which the
k largest entries of each hidden state by value are the features; `saebench_neurons` presents them
to SAEBench, and TransformerLens runs the same weights.

- Core metrics, on a corpus: L0, and the loss of the model as it is, with the features alone, with
  zeros, from which the share of the loss that is recovered follows.
- Sparse probing, on the questions of Banking77's first ten classes in the alphabet: both sides get
  the same rows for training and test. SAEBench's probes are also given columns in units of their
  spread, as ours are.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from _trainings import gain_row, rows_of_others
from probing import questions
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.model_files import locate_language_model
from sparsepath.evaluate.features.data import corpus_texts, table_texts
from sparsepath.evaluate.features.loss import loss_recovered
from sparsepath.evaluate.features.options import MeasureOptions
from sparsepath.evaluate.features.probing import By, Sides, sides, sparse_probing
from sparsepath.evaluate.features.read import Encoded, Entries, Reader, read_features
from sparsepath.evaluate.features.site import Floats, SiteFeatures
from sparsepath.evaluate.features.sparsity import sparsity
from sparsepath.evaluate.saebench import saebench_neurons
from sparsepath.models.language_folder import LoadedLanguageModel, load_language_model
from sparsepath.trace.hidden import dense_places

MINUTES = 10
COMMAND = "sparsepath bench saebench MODEL --data DATA"
RESULTS = Path("benchmarks/results/saebench.json")
KS = (1, 2, 5)
SEED = 0
BATCH = 16

Pair = tuple[float, float]
"""Ours and SAEBench's."""


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--layer", type=int, default=0)
    parser.add_argument("--rows", type=int, default=1200)
    parser.add_argument("--tokens", type=int, default=20_000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = rows_of_others(RESULTS, [given.model.name])
    for name, pair in compared(given.model, given):
        rows += told(f"{given.model.name}: layer {given.layer}, k = {given.k}, {name}", pair)
    write_rows(RESULTS, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def compared(model: Path, given: argparse.Namespace) -> Iterator[tuple[str, Pair]]:
    """Measure one model both ways."""
    folder = locate_language_model(model)
    loaded = load_language_model(folder)
    (place,) = (
        one for one in dense_places(loaded.model, ("block_out",)) if one.layer == given.layer
    )
    reader = Reader(place._replace(k=given.k), Entries(place.width, given.k))
    neurons = saebench_neurons(folder, given.layer, dense_k=given.k)
    corpus = str(given.data / "lm" / "wikitext2_test.txt.xz")
    options = MeasureOptions(tokens=given.tokens, length=64, rows=given.rows)
    encoded = corpus_texts(loaded.tokenizer, corpus, options).encoded
    yield from core(loaded, reader, encoded, neurons)
    with tempfile.TemporaryDirectory() as place_of_table:
        table = questions(given.data, Path(place_of_table) / "questions.csv", 10)
        texts = table_texts(loaded.tokenizer, table, options)
    (read,) = read_features(loaded.model, texts.encoded, [reader])
    assert texts.labelled is not None
    labelled, rng = texts.labelled, np.random.default_rng(SEED)
    drawn = [sides(labelled, number, rng) for number in labelled.usable()]
    for k in KS:
        plain = statistics.fmean(probed(read.features, each, k) for each in drawn)
        scaled = statistics.fmean(probed(read.features, each, k, scaled=True) for each in drawn)
        ways: list[tuple[By, float, str]] = [
            ("difference", scaled, "by difference, columns scaled in both"),
            ("difference", plain, "by difference, columns scaled in ours"),
            ("effect", plain, "ours as used (by effect, columns scaled)"),
        ]
        for by, theirs, how in ways:
            ours = sparse_probing(read.features, labelled, ks=(k,), by=by, seed=SEED)[k]
            assert ours.value is not None
            yield f"{k} probed, {how}", (ours.value, theirs)
    ours_dense = sparse_probing(read.features, labelled, ks=(1,), seed=SEED)[1].controls["dense"]
    yield "probe of the whole hidden state", (
        ours_dense, statistics.fmean(probed(read.features, each, None) for each in drawn),
    )  # fmt: skip


def core(
    loaded: LoadedLanguageModel, reader: Reader, encoded: Encoded, neurons: Any
) -> Iterator[tuple[str, Pair]]:
    """Compare L0 and losses."""
    from sae_bench.evals.core.main import get_recons_loss, get_sparsity_and_variance_metrics

    (figure,) = loss_recovered(loaded.model, encoded, [reader], seed=SEED)
    (read,) = read_features(loaded.model, encoded, [reader])
    n_batches = len(encoded.ids) // BATCH
    rows = torch.tensor(encoded.ids)
    batches = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    other = hooked(loaded)
    losses: dict[str, list[torch.Tensor]] = {}
    for batch in batches:
        found = get_recons_loss(neurons, other, batch, None, compute_kl=False, compute_ce_loss=True)
        for name, values in found.items():
            losses.setdefault(name, []).append(values.flatten())
    theirs = {name: float(torch.cat(values).mean()) for name, values in losses.items()}

    class Store:
        """Gives the same rows."""

        def __init__(self) -> None:
            self._at = 0

        def get_batch_tokens(self, _n: int) -> torch.Tensor:
            self._at += 1
            return batches[self._at - 1]

    counted, _ = get_sparsity_and_variance_metrics(
        neurons, other, Store(), n_batches, compute_l2_norms=False, compute_sparsity_metrics=True,
        compute_variance_metrics=False, compute_featurewise_density_statistics=False,
        eval_batch_size_prompts=BATCH, model_kwargs={},
    )  # fmt: skip
    l0 = sparsity(read.firings)["L0"].value
    assert l0 is not None
    assert figure.value is not None
    yield "L0", (l0, float(counted["l0"]))
    names = {
        "loss": "ce_loss_without_sae",
        "with features": "ce_loss_with_sae",
        "with zeros": "ce_loss_with_ablation",
    }
    for ours, name in names.items():
        yield f"nats a token, {ours}", (figure.parts[ours], theirs[name])
    a, b, c = (theirs[name] for name in names.values())
    yield "loss recovered", (figure.value, (c - b) / (c - a))


def probed(site: SiteFeatures, each: Sides, k: int | None, *, scaled: bool = False) -> float:
    """Probe one class with SAEBench's functions; None: the whole hidden state."""
    from sae_bench.evals.sparse_probing import probe_training
    from sae_bench.sae_bench_utils.dataset_info import NEGATIVE_CLASS_LABEL, POSITIVE_CLASS_LABEL

    def values(rows: Floats) -> torch.Tensor:
        found = site.hidden[rows] if k is None else site.values[rows].toarray()
        return torch.from_numpy(np.asarray(found, np.float32))

    def labels(truth: Floats) -> torch.Tensor:
        return torch.from_numpy(np.where(truth == 1, POSITIVE_CLASS_LABEL, NEGATIVE_CLASS_LABEL))

    train, test = values(each.train), values(each.test)
    if k is not None:
        mask = probe_training.get_top_k_mean_diff_mask(train, labels(each.truth), k)
        train = probe_training.apply_topk_mask_reduce_dim(train, mask)
        test = probe_training.apply_topk_mask_reduce_dim(test, mask)
    if scaled:
        spread = train.std(dim=0, correction=0).clamp_min(1e-12)
        train, test = train / spread, test / spread
    _, accuracy = probe_training.train_sklearn_probe(
        train, labels(each.truth), test, labels(each.test_truth)
    )
    return float(accuracy)


def hooked(loaded: LoadedLanguageModel) -> Any:
    """Give the same weights to TransformerLens."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions.llama import convert_llama_weights

    c = loaded.model.config
    config = HookedTransformerConfig(
        d_model=c.hidden_size, d_head=c.head_dim, n_heads=c.num_attention_heads,
        n_key_value_heads=c.num_key_value_heads, d_mlp=c.intermediate_size,
        n_layers=c.num_hidden_layers, n_ctx=c.max_position_embeddings, d_vocab=c.vocab_size,
        act_fn="silu", eps=c.rms_norm_eps, normalization_type="RMS", final_rms=True,
        gated_mlp=True, positional_embedding_type="rotary", rotary_adjacent_pairs=False,
        rotary_dim=c.head_dim, rotary_base=int(c.rope_parameters["rope_theta"]),
        tokenizer_prepends_bos=False, default_prepend_bos=False,
        original_architecture="LlamaForCausalLM",
    )  # fmt: skip
    model = HookedTransformer(config)
    state = convert_llama_weights(loaded.model, config)
    model.load_state_dict(state, strict=False)
    return model.eval()


def told(name: str, pair: Pair) -> list[BenchmarkRow]:
    """Make rows of ours, SAEBench's and the difference."""
    peer = f"sae-bench {version('sae-bench')}"
    each = (("ours", pair[0]), ("SAEBench", pair[1]), ("ours less theirs", pair[0] - pair[1]))
    return [
        gain_row(f"{name}: {what}", [value], "", target=None, command=COMMAND, peer=peer, note="")
        for what, value in each
    ]


if __name__ == "__main__":
    main()
