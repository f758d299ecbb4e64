"""What a run says in English is said in Japanese in a Japanese report."""

import re

import pytest

from sparsepath.report.language import words
from sparsepath.report.phrases import said

JA = words("ja")


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        (
            "smallest latency with accuracy within 1 point of full",
            "正解率がフルモデルから 1 ポイント以内で、応答時間が最も短いもの",
        ),
        (
            "median latency at most 3 ms; size at most 12.5 MB",
            "応答時間の中央値が 3 ミリ秒以下。大きさが 12.5 MB 以下",
        ),
        (
            "keeps L00 (5 heads, 300 neurons), L05 (12 heads, 90 neurons): best measured of 8; "
            "learnt from the full model in 300 steps",
            "L00（ヘッド 5、ニューロン 300）、L05（ヘッド 12、ニューロン 90） を残す："
            "測定した 8 案で最良。"
            "フルモデルから 300 ステップ学習",
        ),
        (
            "cascade-light 92.1% at 0.42 ms, early-exit 93.0% at 2.10 ms",
            "cascade-light は 0.42 ミリ秒で 92.1%、early-exit は 2.10 ミリ秒で 93.0%",
        ),
        (
            "tf-idf 87.3%, frozen-encoder 91.8% right on validation rows",
            "検証行の正解率：tf-idf 87.3%、frozen-encoder 91.8%",
        ),
        (
            'text column "body" (by its name), label column "列 2" (by its contents)',
            '文の列 "body"（名前から判断）、ラベルの列 "列 2"（内容から判断）',
        ),
        (
            'rows with the same "pair" are on one side of the split: 1,200 groups, '
            "35 rows moved or left out for it",
            '"pair" が同じ行は分割の片側にそろえました（1,200 組、そのため移動または除外した行 35 行）',  # noqa: E501
        ),
        (
            'label column "b" (as asked), group column "c" (as asked)',
            'ラベルの列 "b"（指定どおり）、まとまりの列 "c"（指定どおり）',
        ),
        (
            '3 labels have no test row: "a", "b" and 1 more',
            'テスト行のないラベルが 3 種あります："a", "b" ほか 1 種',
        ),
    ],
)
def test_known_sentences_are_translated_with_their_figures(english: str, japanese: str) -> None:
    assert said(JA, english) == japanese
    assert said(words("en"), english) == english


def test_an_unknown_sentence_stays_as_it_is() -> None:
    assert said(JA, "Something new; and more") == "Something new。and more"


@pytest.mark.parametrize(
    "sentence",
    [
        "8003 training, 1000 validation and 3080 test rows, 77 labels; base model: hub",
        "93.4% right on validation rows after 1200 steps (4.8 passes)",
        "rank correlation of the two methods 0.71; 42% of the units can leave, "
        "least important first, before 2 % of the accuracy is lost",
        "topk-8th 92.8% on validation rows after 130 steps; the named 5% of the neurons that fire "
        "keep 97% of the margin, a random 5% 4%",
        "each token keeps the 48 largest of 384 entries after the last layer; learnt from the full "
        "model in 130 steps",
        "left out: there was no time for it",
        "left out: this run was measured without it",
        "12 sub-models distilled, the best 93.1% on validation rows; "
        "6 controls trained for as many steps",
        "38 candidates measured; recommended: sub-05, 6.2 times faster, accuracy 93.0% "
        "(-0.4 points)",
        "90 of 120 rows explained (40 wrong ones); the named 10% of the units keep 93% of the "
        "margin, a random 10% 12%",
        "7 of 9 rows explained (2 wrong ones); word embeddings decide all of them",
        "the whole model, fine-tuned for 4.8 passes over the training rows",
        "sub-01 then sub-12, passing on below 0.90",
        "stops after layer 1, 3 above 0.95",
        "control of sub-05 (300 steps there); learnt from the full model in 300 steps",
        "the model's tokenizer does not know 31% of the tokens of these texts; a multilingual "
        "model reads them: --model intfloat/multilingual-e5-small (or xlm-roberta-base)",
    ],
)
def test_no_english_sentence_is_left_in_what_the_stages_say(sentence: str) -> None:
    assert not re.search(r"[a-z]+ (of|the|rows|units|on|in) ", said(JA, sentence))
