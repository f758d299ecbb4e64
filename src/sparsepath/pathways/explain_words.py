"""The words of a shown explanation, in English and Japanese; both tables have the same keys.

`{blanks}` are filled by `explain_render.py`.
"""

from typing import Literal

Lang = Literal["en", "ja"]
"""Languages that an explanation can be shown in."""

WORDS: dict[Lang, dict[str, str]] = {
    "en": {
        "title": "Why this label?",
        "answer": "{target} with probability {probability}",
        "question": "Why {target} and not {against}?",
        "not_answer": "The model's own answer is {predicted}.",
        "legend": "Blue words speak for {target}, orange words for {against}.",
        "cut": "{n} tokens at the end were not read: the text is longer than the model reads.",
        "words": "Words that decided",
        "word": "Word",
        "units": "Units that decided",
        "unit": "Unit",
        "score": "Logits",
        "units_note": "The pathway has {kept} of {all} units ({share}); the strongest are "
        "listed. Names like {heads} are attention heads, names like {neurons} are MLP neurons.",
        "units_none": "This model has no attention heads and no MLP neurons: word embeddings go "
        "straight to the classifier.",
        "neurons_note": "Of the {all} neurons of the sparse layers that fire in this text, {kept} "
        "({share}) are named; the strongest are listed. {neuron} is entry 117 of what leaves layer "
        "2, {neurons} an MLP neuron.",
        "neurons_exact": "The logits are exact shares: after these neurons come only a mean over "
        "tokens and a sum.",
        "neurons_line": "The logits are estimates, along a line from each neuron's mean to this "
        "text.",
        "stand_for": "What these neurons stand for",
        "fires_for": "Fires for",
        "concept": "Label in the catalogue",
        "fires_in": "Fires most in",
        "edges": "Attention that decided",
        "edge": "Reads",
        "where": "Where",
        "edges_note": "The word on the left reads the word on the right of the arrow.",
        "test": "How far to trust this",
        "setting": "Units at work",
        "margin": "Margin left",
        "margin_logits": "Margin (logits)",
        "confidence": "Confidence",
        "all": "All units",
        "kept": "Only the pathway",
        "random_kept": "Only a random set as large ({n} draws)",
        "removed": "All but the pathway",
        "random_removed": "All but a random set as large ({n} draws)",
        "nothing": "None",
        "test_note": "Margin is the logit of {target} minus that of {against}; all units make it "
        "{margin}, none {nothing}, and shares are between the two. Other units are held at their "
        "average. Random sets: mean, and range in brackets.",
        "enough": "The {n} units that speak most for the answer are enough for 90 % of the margin.",
        "verdict_good": "The explanation holds: the pathway alone keeps the margin, and random "
        "sets of its size do not.",
        "verdict_weak": "Read this with care: the pathway alone keeps {kept} of the margin, random "
        "sets of its size {random}.",
        "verdict_none": "The word embeddings decide here: all units together change the margin by "
        "only {change} logits, so this test can say little about the named ones.",
    },
    "ja": {
        "title": "なぜこのラベルか",
        "answer": "{target}（確率 {probability}）",
        "question": "なぜ {against} ではなく {target} なのか",
        "not_answer": "モデル自身の答えは {predicted} です。",
        "legend": "青い語は {target} を、橙色の語は {against} を支持しています。",
        "cut": "文章がモデルの読める長さを超えるため、末尾の {n} トークンは読まれていません。",
        "words": "決め手となった語",
        "word": "語",
        "units": "決め手となったユニット",
        "unit": "ユニット",
        "score": "ロジット",
        "units_note": "経路は全 {all} ユニットのうち {kept} 個（{share}）です。{heads} の形の名前は"
        "アテンションヘッド、{neurons} の形の名前は MLP ニューロンです。強いものから示します。",
        "units_none": "このモデルにはアテンションヘッドも MLP ニューロンもなく、単語の埋め込みが"
        "そのまま分類器に渡されます。",
        "neurons_note": "スパース層のニューロンのうちこの文章で発火した {all} 個から、{kept} 個"
        "（{share}）を挙げています。強いものから示します。{neuron} は第 2 層の出力の 117 番、"
        "{neurons} は MLP ニューロンです。",
        "neurons_exact": "ロジットは正確な内訳です。これらのニューロンの後にはトークンの平均と"
        "和しかありません。",
        "neurons_line": "ロジットは、各ニューロンの平均値からこの文章での値までの線に沿った"
        "推定値です。",
        "stand_for": "これらのニューロンが表すもの",
        "fires_for": "発火するラベル",
        "concept": "カタログのラベル",
        "fires_in": "最も強く発火する文章",
        "edges": "決め手となったアテンション",
        "edge": "参照",
        "where": "場所",
        "edges_note": "矢印の左の語が右の語を参照しています。",
        "test": "この説明の信頼度",
        "setting": "働いているユニット",
        "margin": "残ったマージン",
        "margin_logits": "マージン（ロジット）",
        "confidence": "確信度",
        "all": "すべて",
        "kept": "経路のみ",
        "random_kept": "同じ大きさの無作為な組のみ（{n} 回）",
        "removed": "経路以外",
        "random_removed": "同じ大きさの無作為な組以外（{n} 回）",
        "nothing": "なし",
        "test_note": "マージンは {target} と {against} のロジットの差です。全ユニットで {margin}、"
        "ユニットなしで {nothing} であり、割合はこの二つの間の位置を表します。"
        "ほかのユニットは平均値に固定しました。無作為な組は平均値で、括弧内は範囲です。",
        "enough": "答えを最も強く支持する {n} ユニットだけで、マージンの 90 % が保たれます。",
        "verdict_good": "この説明は成り立っています。経路だけでマージンが保たれ、"
        "同じ大きさの無作為な組では保たれません。",
        "verdict_weak": "注意して読んでください。経路だけで保たれるのはマージンの {kept}、"
        "同じ大きさの無作為な組では {random} です。",
        "verdict_none": "ここでは単語の埋め込みが答えを決めています。全ユニットを合わせても"
        "マージンの変化は {change} ロジットだけなので、このテストから、名前の挙がった"
        "ユニットについてはほとんど何も言えません。",
    },
}
"""Texts by language and key."""
