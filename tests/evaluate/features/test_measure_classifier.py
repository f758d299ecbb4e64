"""`sparsepath concepts measure` on classifiers whose neurons are known."""

import random
from pathlib import Path

import numpy as np
import planted_classifier
import pytest
from click.testing import CliRunner

from sparsepath.artifacts.feature_metrics import FeatureMetrics
from sparsepath.cli.main import main
from sparsepath.errors import ConfigError
from sparsepath.evaluate.features.measure import measure_concepts
from sparsepath.evaluate.features.options import MeasureOptions

OPTIONS = {"length": 128, "ks": (1, 2)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("measured classifiers")


@pytest.fixture(scope="module")
def sparse(folder: Path) -> Path:
    return planted_classifier.save_model(folder / "sparse")


@pytest.fixture(scope="module")
def dense(folder: Path) -> Path:
    return planted_classifier.save_model(folder / "dense", is_sparse=False)


@pytest.fixture(scope="module")
def tickets(folder: Path) -> Path:
    """Texts of fillers with two words of one class; two rows are far longer than is read."""
    draw = random.Random(0)
    rows = ["text,label"]
    for number in range(180):
        label = list(planted_classifier.CLASSES)[number % 3]
        words = draw.choices(planted_classifier.CLASSES[label], k=2)
        words += draw.choices(planted_classifier.FILLERS, k=6 if number > 1 else 90)
        rows.append(f"{' '.join(words)},{label}")
    path = folder / "tickets.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def value(found: FeatureMetrics, metric: str, figure: str, site: str = "L00") -> float:
    """Give one figure."""
    (row,) = [each for each in found.rows if (each.metric, each.figure) == (metric, figure)
              and each.site == site]  # fmt: skip
    assert row.value is not None
    return row.value


def test_one_planted_neuron_knows_its_class(sparse: Path, tickets: Path) -> None:
    found = measure_concepts(sparse, tickets, MeasureOptions(**OPTIONS))
    assert {row.metric for row in found.rows} == {"sparsity", "sparse-probing", "absorption", "tpp"}
    assert found.is_sparse
    assert found.length == 32
    assert value(found, "sparse-probing", "k = 1") > 0.95
    assert value(found, "sparsity", "L0") == planted_classifier.K
    row, *_rest = found.of("sparse-probing", "k = 1")
    assert set(row.parts) == set(planted_classifier.CLASSES)


def test_special_tokens_are_read_past(sparse: Path, tickets: Path) -> None:
    """[CLS] and [SEP] stand in every text, so no neuron of theirs may count."""
    found = measure_concepts(sparse, tickets, MeasureOptions(**OPTIONS, metrics=("sparsity",)))
    row, *_rest = found.of("sparsity", "dead share")
    assert row.note is not None
    n_tokens = sum(min(30, len(line.split(",")[0].split()))
                   for line in tickets.read_text().splitlines()[1:])  # fmt: skip
    assert f"at {n_tokens} tokens" in row.note


def test_a_dense_twin_is_measured_at_any_site(dense: Path, tickets: Path) -> None:
    few = MeasureOptions(**OPTIONS, metrics=("sparsity", "sparse-probing"), dense_k=2)
    found = measure_concepts(dense, tickets, few)
    assert not found.is_sparse
    assert {row.site for row in found.rows} == {"L00", "L01"}
    assert value(found, "sparsity", "L0", "L01") == 2
    assert value(found, "sparse-probing", "k = 1", "L01") > 0.95
    inside = MeasureOptions(**OPTIONS, metrics=("sparsity",), sites=("mlp_hidden",), layers=(1,))
    row, *_rest = measure_concepts(dense, tickets, inside).rows
    assert row.site == "L01.mlp_hidden"
    assert row.value is not None
    assert np.isfinite(row.value)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"metrics": ("loss-recovered",)}, "loss-recovered is of language models"),
        ({"sites": ("attn_in",)}, "not sparse at attn_in"),
        ({"autoencoder": Path("sae")}, "autoencoders are for language models"),
        ({"dense_k": 2}, "sparse already"),
        ({"layers": (7,)}, "layer 7 has no such site"),
    ],
)
def test_what_does_not_fit_is_refused(
    sparse: Path, tickets: Path, wrong: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        measure_concepts(sparse, tickets, MeasureOptions(**wrong))


def test_an_encoder_lacks_sites_of_language_models(dense: Path, tickets: Path) -> None:
    with pytest.raises(ConfigError, match="no site 'attn_out'"):
        measure_concepts(dense, tickets, MeasureOptions(sites=("attn_out",)))


def test_the_command_takes_a_classifier(sparse: Path, tickets: Path) -> None:
    done = CliRunner().invoke(
        main, ["concepts", "measure", str(sparse), str(tickets), "--metric", "sparse-probing"]
    )
    assert done.exit_code == 0, done.output
    assert "sparse-probing" in done.stdout


def test_running_text_is_no_table(sparse: Path, folder: Path) -> None:
    path = folder / "plain.txt"
    path.write_text("the card is a card", encoding="utf-8")
    done = CliRunner().invoke(main, ["concepts", "measure", str(sparse), str(path)])
    assert done.exit_code == 1
    assert "fix:" in done.output
    assert "Traceback" not in done.output
