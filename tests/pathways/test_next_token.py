"""The answer is known by construction: embeddings go straight to the head."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from sparsepath.artifacts.neuron import Neuron
from sparsepath.errors import ConfigError, DataError
from sparsepath.models.language import fresh_llama, fresh_topk
from sparsepath.models.language_folder import LoadedLanguageModel, load_language_model
from sparsepath.pathways.explain_words import Lang
from sparsepath.pathways.next_token import Asked, NextToken, explain_next_token
from sparsepath.pathways.next_token_render import next_token_html, print_next_token
from sparsepath.pathways.next_token_words import TOKEN_WORDS

WORDS = ["the", "cat", "dog", "sat", "ran", "<b>", "mat", "x"]
CAT_SAT, CAT_RAN = 3, 4
"""Entries of the residual stream that carry what follows the cat."""


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="x"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return tokenizer


@pytest.fixture(scope="module")
def planted() -> LoadedLanguageModel:
    """After "cat" comes "sat", by entry 3; "ran" by the weaker entry 4."""
    model = fresh_topk(
        fresh_llama(
            vocabulary=len(WORDS), length=16, d_model=12, n_layers=3, n_heads=2, n_kv_heads=2,
            d_mlp=8, seed=0,
        ),
        topk={"block_out": 4}, topk_by="value", topk_positive=False, n_always_on=0,
        n_dense_layers=1, straight_through=False,
    ).eval()  # fmt: skip
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embedding = torch.full((len(WORDS), 12), 0.0)
        embedding[:, 8:] = 0.5  # what every word has in common
        embedding[WORDS.index("cat"), CAT_SAT] = 5.0
        embedding[WORDS.index("cat"), CAT_RAN] = 2.0
        embedding[WORDS.index("dog"), CAT_RAN] = 5.0
        head = torch.zeros(len(WORDS), 12)
        head[WORDS.index("sat"), CAT_SAT] = 1.0
        head[WORDS.index("ran"), CAT_RAN] = 1.0
        model.model.embed_tokens.weight.copy_(embedding)
        model.lm_head.weight = torch.nn.Parameter(head)
    return LoadedLanguageModel(model, _tokenizer())


def test_the_planted_neuron_is_named(planted: LoadedLanguageModel) -> None:
    told = explain_next_token(planted, "the dog cat", Asked(against="ran", share=0.5))
    assert (told.target, told.answer, told.against) == ("sat", "sat", "ran")
    assert told.site == "L01.block_out"
    assert told.is_sparse
    first = told.neurons[0]
    assert (first.name, first.token, first.position) == ("L01/3", "cat", 2)
    assert first.value == pytest.approx(5.0)
    assert [word.text for word in first.reads] == ["cat"]
    scale = (torch.tensor([5.0, 2.0] + [0.5] * 4).square().sum() / 12) ** -0.5
    kept = (torch.tensor([5.0, 2.0, 0.5, 0.5]).square().sum() / 12 + 1e-6) ** -0.5
    assert first.score == pytest.approx(float(5 * kept), rel=1e-3)
    assert first.score != pytest.approx(float(5 * scale), rel=1e-3)
    assert told.margin == pytest.approx(float(3 * kept), rel=1e-3)
    assert told.rest == pytest.approx(0.0, abs=1e-5)
    assert [round(word.score, 3) for word in told.words[:2]] == [0.0, 0.0]
    assert told.words[2].score == pytest.approx(told.margin, rel=1e-4)
    assert told.test.kept == pytest.approx(5 / 3, rel=1e-3)
    assert told.test.removed == pytest.approx(-2 / 3, rel=1e-3)
    assert len(told.test.random_kept) == 20
    assert sum(told.test.random_kept) / 20 < 0.9


def test_a_word_left_out_changes_the_answer(planted: LoadedLanguageModel) -> None:
    told = explain_next_token(planted, "dog cat", Asked(target="sat", against="ran"))
    first = told.left_out[0]
    assert (first.text, first.answer) == ("cat", "ran")
    assert first.margin < 0


def test_values_of_another_text_take_the_neurons_place(planted: LoadedLanguageModel) -> None:
    asked = Asked(target="sat", against="ran", contrast="the the dog", share=0.5)
    told = explain_next_token(planted, "the dog cat", asked)
    # The cat's entry 3 becomes the dog's, which is nothing.
    assert told.test.swapped == pytest.approx(told.test.removed, rel=1e-3)
    assert len(told.test.random_swapped) == 20
    # Texts stand beside each other by their ends.
    asked = Asked(target="sat", against="ran", contrast="cat", share=0.01)
    assert explain_next_token(planted, "the dog cat", asked).test.swapped == pytest.approx(1.0)


def test_the_asked_order_turns_the_sign(planted: LoadedLanguageModel) -> None:
    told = explain_next_token(planted, "cat", Asked(target="ran", against="sat", share=1.0))
    assert told.margin < 0
    assert told.answer == "sat"
    assert told.left_out == []
    assert told.neurons[0].name == "L01/3"  # what decides against it
    labelled = explain_next_token(
        planted, "cat", labels=lambda neuron, value: f"is {neuron.index} {value > 0}"
    )
    assert labelled.neurons[0].label == f"is 3 {labelled.neurons[0].value > 0}"
    assert explain_next_token(planted, "cat", labels=_nothing).neurons[0].label is None


def _nothing(_neuron: Neuron, _value: float) -> str | None:
    return None


def test_the_same_seed_gives_the_same(planted: LoadedLanguageModel) -> None:
    one, two, other = (
        explain_next_token(planted, "the dog cat", Asked(seed=seed)) for seed in (0, 0, 1)
    )
    assert one == two
    assert one.test.random_kept != other.test.random_kept


@pytest.mark.parametrize(
    ("text", "asked", "message"),
    [
        ("", Asked(), "has no token"),
        ("cat " * 20, Asked(), "has 20 tokens, the model reads 16"),
        ("cat", Asked(target="the cat"), "'the cat' is not one token of this model"),
        ("cat", Asked(target="sat", against="sat"), "'sat' is compared with itself"),
        ("cat", Asked(target="unheard"), "'unheard' is not one token of this model"),
        ("cat", Asked(pair=(1, 1)), "tokens 1 and 1 of a vocabulary of"),
        ("cat", Asked(pair=(0, 10**6)), "tokens 0 and 1000000 of a vocabulary of"),
        ("cat", Asked(place=(3, "block_out")), "layer 3 of a model of 3"),
        ("cat", Asked(share=0.0), "share = 0"),
        ("cat", Asked(contrast=""), "has no token"),
    ],
)
def test_what_cannot_be_asked_is_told(
    planted: LoadedLanguageModel, text: str, asked: Asked, message: str
) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        explain_next_token(planted, text, asked)


def test_a_dense_model_is_explained_too(planted: LoadedLanguageModel) -> None:
    dense = fresh_llama(
        vocabulary=8, length=16, d_model=12, n_layers=3, n_heads=2, n_kv_heads=2, d_mlp=8, seed=0
    ).eval()
    told = explain_next_token(LoadedLanguageModel(dense, planted.tokenizer), "the cat")
    assert (told.site, told.is_sparse, told.n_active) == ("L01.block_out", False, 24)
    assert sum(word.score for word in told.words) == pytest.approx(told.margin, rel=1e-3)
    at_mlp = explain_next_token(
        LoadedLanguageModel(dense, planted.tokenizer), "the cat", Asked(place=(0, "mlp_hidden"))
    )
    assert at_mlp.neurons[0].name.startswith("L00.M")
    assert abs(at_mlp.rest) > 1e-6  # the stream goes past the MLP


@pytest.fixture(scope="module")
def told(planted: LoadedLanguageModel) -> NextToken:
    return explain_next_token(
        planted, "<b> the dog cat", Asked(against="ran", contrast="dog"), labels=lambda *_: "pets"
    )


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_everything_is_shown(told: NextToken, lang: Lang) -> None:
    console = Console(record=True, width=120, force_terminal=False)
    print_next_token(told, console, lang)
    shown = console.export_text()
    page = next_token_html(told, lang)
    words = TOKEN_WORDS[lang]
    for title in ("words", "neurons", "heads", "left_out", "test", "swapped", "meaning"):
        assert words[title].format(n=20) in shown
        assert words[title].format(n=20) in page
    assert "L01/3" in shown
    assert "pets" in shown
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    assert f'lang="{lang}"' in page
    assert "<script" not in page


def test_both_languages_have_the_same_words() -> None:
    assert TOKEN_WORDS["en"].keys() == TOKEN_WORDS["ja"].keys()


def test_nearly_level_tokens_get_no_shares(planted: LoadedLanguageModel) -> None:
    told = explain_next_token(planted, "the the", Asked(target="mat", against="x"))
    assert not told.test.has_lead
    console = Console(record=True, width=400, force_terminal=False)
    print_next_token(told, console)
    assert "nearly level" in console.export_text()


def test_a_folder_is_read(planted: LoadedLanguageModel, tmp_path: Path) -> None:
    planted.model.save_pretrained(tmp_path)
    planted.tokenizer.save(str(tmp_path / "tokenizer.json"))
    again = explain_next_token(load_language_model(tmp_path), "the dog cat", Asked(against="ran"))
    assert again == explain_next_token(planted, "the dog cat", Asked(against="ran"))


@pytest.mark.parametrize(
    ("kept", "random", "said"),
    [
        (1.0, 0.0, ["The explanation holds"]),
        (0.5, 0.0, ["less than nine tenths"]),
        (2.0, 0.0, ["far more than the lead"]),
        (1.0, 0.5, ["random sets of that size keep much of it too"]),
        (0.5, 0.5, ["less than nine tenths", "random sets of that size keep much of it too"]),
    ],
)
def test_what_speaks_against_an_explanation_is_named(
    planted: LoadedLanguageModel, kept: float, random: float, said: list[str]
) -> None:
    told = explain_next_token(planted, "the cat", Asked())
    doubts = [TOKEN_WORDS["en"][f"doubt_{name}"] for name in ("little", "much", "random")]
    test = replace(told.test, kept=kept, random_kept=[random] * 20, has_lead=True)
    shown = next_token_html(replace(told, test=test))
    for sentence in said:
        assert sentence in shown
    n_said = sum(doubt in shown for doubt in doubts)
    assert n_said == (0 if "holds" in said[0] else len(said))
