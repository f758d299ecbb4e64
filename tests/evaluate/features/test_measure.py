"""`sparsepath concepts measure`, on a model whose neurons are known."""

import json
import random
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

import planted
from sparsepath.artifacts.model_files import weights_sha256
from sparsepath.cli.main import main
from sparsepath.models.autoencoder import AutoencoderConfig, SparseAutoencoder
from sparsepath.models.quiet import quiet

TOPICS = {"first": 4, "second": 9}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted.save_model(tmp_path_factory.mktemp("measured") / "model")


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of fillers with words of list 4 or of list 9, and of list 20 where they are loud."""
    draw = random.Random(0)
    rows = ["text,label,tone"]
    for number in range(240):
        label, tone = ("first", "second")[number % 2], ("calm", "loud")[number // 2 % 2]
        words = [draw.choice(planted.FILLERS) for _ in range(8)]
        words[draw.randrange(4)] = draw.choice(planted.LISTS[TOPICS[label]])
        if tone == "loud":
            words[4 + draw.randrange(4)] = draw.choice(planted.LISTS[20])
        rows.append(f"{' '.join(words)},{label},{tone}")
    path = tmp_path_factory.mktemp("table") / "tickets.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def run(*arguments: object) -> Result:
    """Run a command that works."""
    done = CliRunner().invoke(main, ["concepts", "measure", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done


def figures(*arguments: object) -> dict[tuple[str, str], dict[str, object]]:
    """Give the rows by metric and figure."""
    found = json.loads(run(*arguments, "--length", 16, "--json").stdout)
    return {(row["metric"], row["figure"]): row for row in found["rows"]}


def test_planted_neurons_are_measured_as_they_were_planted(
    model: Path, tickets: Path, tmp_path: Path
) -> None:
    out = tmp_path / "figures.json"
    table = ["--label-column", "label", "--text-column", "text", "--attribute", "tone"]
    found = figures(model, tickets, *table, "--out", out)
    probing = found["sparse-probing", "k = 1"]
    assert probing["value"] == 1.0
    assert 0.3 < probing["controls"]["random"] < 0.8
    assert found["absorption", "fraction"]["value"] == pytest.approx(0, abs=0.05)
    assert found["disentanglement", "cause and isolation"]["value"] > 0.95
    assert found["tpp", "n = 2"]["value"] is not None
    assert found["scr", "n = 2"]["parts"]["unbiased"] == 1.0
    assert found["sparsity", "L0"]["value"] == planted.K
    assert found["sparsity", "dead share"]["value"] > 0.5
    assert found["loss-recovered", "share"]["site"] == "L00"
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["labels"] == ["first", "second"]
    assert content["n_train"] + content["n_test"] == content["n_texts"] == 240
    assert not content["is_sparse"] ^ True


def test_a_corpus_gives_what_needs_no_label(model: Path, tmp_path: Path) -> None:
    corpus = planted.save_corpus(tmp_path / "corpus.txt", n_documents=40)
    printed = run(model, corpus, "--length", 16).stdout
    assert "L0" in printed
    assert "dead share" in printed
    assert "loss-recovered" in printed
    assert "sparse-probing" not in printed


def test_only_what_is_asked_for_is_measured(model: Path, tickets: Path) -> None:
    asked = ["--metric", "sparse-probing", "--label-column", "label", "--layer", 0]
    assert {metric for metric, _ in figures(model, tickets, *asked)} == {"sparse-probing"}


def test_latents_that_are_neurons_measure_as_these(
    model: Path, tickets: Path, tmp_path: Path
) -> None:
    width = planted.N_LISTS + planted.N_OTHERS
    found = SparseAutoencoder(
        AutoencoderConfig(width=width, n_latents=width, k=planted.K, layer=0, parent="planted",
                          parent_sha256=weights_sha256(model))
    )  # fmt: skip
    with torch.no_grad():
        for matrix in (found.encoder, found.decoder):
            matrix.copy_(torch.eye(width).roll(5, dims=1))
    with quiet():
        found.save_pretrained(tmp_path)
    asked = [tickets, "--label-column", "label", "--text-column", "text"]
    ours = figures(model, *asked, "--sae", tmp_path)
    neurons = figures(model, *asked)
    assert ours["sparse-probing", "k = 1"]["value"] == 1.0
    assert ours["sparsity", "L0"]["value"] == planted.K
    for key in (("sparse-probing", "k = 5"), ("loss-recovered", "share"), ("tpp", "n = 2")):
        assert ours[key]["value"] == pytest.approx(neurons[key]["value"], abs=1e-5)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (["--sae", ".", "--layer", "0"], "leave --site, --layer and --dense-k out"),
        (["--metric", "scr"], "name its column by --attribute"),
        (["--dense-k", "3"], "the model is sparse already"),
        (["--layer", "7"], "layer 7 has no such site"),
        (["--length", "200", "--tokens", "400"], "the model reads 64 tokens"),
        (["--site", "mlp_in"], "not sparse at mlp_in"),
    ],
)
def test_what_does_not_fit_is_refused(
    wrong: list[str], why: str, model: Path, tickets: Path
) -> None:
    given = wrong if "--length" in wrong else [*wrong, "--length", "16"]
    command = ["concepts", "measure", str(model), str(tickets), *given]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert why in done.stderr


def test_classes_with_too_few_rows_are_named(model: Path, tickets: Path, tmp_path: Path) -> None:
    table = tmp_path / "more.csv"
    rare = "\n".join(f"{planted.LISTS[30 + n][0]} {planted.FILLERS[n]},rare,calm" for n in range(5))
    table.write_text(f"{tickets.read_text(encoding='utf-8')}\n{rare}", encoding="utf-8")
    asked = ["--metric", "sparse-probing", "--label-column", "label", "--length", 16]
    assert "left out, with fewer than 4 rows: rare" in run(model, table, *asked).stderr
