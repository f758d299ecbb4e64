"""The words of an explained token, in English and Japanese; both tables have the same keys.

`{blanks}` are filled by `next_token_render.py`.
"""

from sparsepath.pathways.explain_words import Lang

TOKEN_WORDS: dict[Lang, dict[str, str]] = {
    "en": {
        "title": "Why this token?",
        "answer": "{target} with probability {probability}",
        "question": "Why {target} and not {against}? The margin is {margin} logits.",
        "not_answer": "The model's own answer is {answer}.",
        "legend": "Blue words speak for {target}, orange words for {against}; together they add up "
        "to the margin.",
        "words": "Words that decided",
        "word": "Word",
        "score": "Logits",
        "neurons": "Neurons that decided",
        "neuron": "Neuron",
        "meaning": "Stands for",
        "at": "At the word",
        "reads": "Reads from",
        "neurons_note": "{named} of {active} active entries at {site} are named; the strongest are "
        "listed. What an entry adds is exact as long as norms, attention and gates stay as they "
        "are.",
        "heads": "Attention heads that decided",
        "head": "Head",
        "left_out": "Without a word",
        "then": "The answer becomes",
        "margin": "Margin",
        "test": "How far to trust this",
        "setting": "Entries at work",
        "margin_left": "Margin left",
        "all": "All entries",
        "kept": "Only the named ones",
        "random_kept": "Only a random set as large ({n} draws)",
        "removed": "All but the named ones",
        "random_removed": "All but a random set as large ({n} draws)",
        "swapped": "The named ones from the other text",
        "random_swapped": "A random set from the other text",
        "test_note": "The model itself is run again with the other entries set to zero; norms keep "
        "their scale. Random sets: mean, and range in brackets.",
        "told": "The model goes on with {target} ({probability}). Most speaks for it: {strongest}. "
        "{named} of {active} active entries alone keep {kept} of its lead over {against}, random "
        "sets of that size {random}.",
        "told_level": "The model goes on with {target} ({probability}). Most speaks for it: "
        "{strongest}.",
        "told_change": "Without {word} the answer becomes {other}.",
        "told_no_change": "No single one of these words, left out, changes the answer.",
        "verdict_good": "The explanation holds: the named entries alone keep the lead, and random "
        "ones do not.",
        "verdict_weak": "Read this with care: {why}.",
        "and": ", and ",
        "doubt_little": "the named entries alone keep less than nine tenths of the lead",
        "doubt_much": "the named entries alone keep far more than the lead, so others work "
        "against them",
        "doubt_random": "random sets of that size keep much of it too",
        "verdict_none": "The two tokens are nearly level, so shares of the lead say nothing here; "
        "compare with another token.",
    },
    "ja": {
        "title": "なぜこのトークンか",
        "answer": "{target}（確率 {probability}）",
        "question": "なぜ {against} ではなく {target} なのか。マージンは {margin} ロジットです。",
        "not_answer": "モデル自身の答えは {answer} です。",
        "legend": "青い語は {target} を、橙色の語は {against} を支持しています。"
        "合計がマージンになります。",
        "words": "決め手となった語",
        "word": "語",
        "score": "ロジット",
        "neurons": "決め手となったニューロン",
        "neuron": "ニューロン",
        "meaning": "意味",
        "at": "位置する語",
        "reads": "参照元",
        "neurons_note": "{site} で働いている {active} 個の成分のうち {named} 個を名指ししています。"
        "強いものから示します。正規化・アテンション・ゲートがこのままである限り、"
        "各成分の寄与は厳密です。",
        "heads": "決め手となったアテンションヘッド",
        "head": "ヘッド",
        "left_out": "語を除いた場合",
        "then": "答え",
        "margin": "マージン",
        "test": "この説明の信頼度",
        "setting": "働いている成分",
        "margin_left": "残ったマージン",
        "all": "すべて",
        "kept": "名指しした成分のみ",
        "random_kept": "同じ大きさの無作為な組のみ（{n} 回）",
        "removed": "名指しした成分以外",
        "random_removed": "同じ大きさの無作為な組以外（{n} 回）",
        "swapped": "名指しした成分を別の文章の値に置換",
        "random_swapped": "無作為な組を別の文章の値に置換",
        "test_note": "残りの成分をゼロにし、正規化の倍率は元のままで、モデル自体をもう一度動かした"
        "結果です。"
        "無作為な組は平均値で、括弧内は範囲です。",
        "told": "モデルは {target}（{probability}）と続けます。最も支持しているのは {strongest} "
        "です。働いている {active} 個の成分のうち {named} 個だけで、{against} に対する差の {kept} "
        "が保たれ、同じ大きさの無作為な組では {random} です。",
        "told_level": "モデルは {target}（{probability}）と続けます。最も支持しているのは "
        "{strongest} です。",
        "told_change": "{word} を除くと、答えは {other} になります。",
        "told_no_change": "これらの語は、どれか一つを除いても答えは変わりません。",
        "verdict_good": "この説明は成り立っています。名指しした成分だけで差が保たれ、"
        "無作為な成分では保たれません。",
        "verdict_weak": "注意して読んでください。{why}。",
        "and": "。また、",
        "doubt_little": "名指しした成分だけで保たれるのは、差の 9 割未満です",
        "doubt_much": "名指しした成分だけでは元の差を大きく超えるため、"
        "ほかの成分がそれを打ち消しています",
        "doubt_random": "同じ大きさの無作為な組でも、差の多くが保たれます",
        "verdict_none": "二つのトークンの差がほとんどないため、ここでは差の割合に意味がありません。"
        "別のトークンと比べてください。",
    },
}
"""Texts by language and key."""
