"""Classes of Japanese words and characters, by name; tokens and runs are looked up in them."""

from collections.abc import Callable, Mapping

from sparsepath.concepts.evidence.scripts import is_all

WORDS: Mapping[str, str] = {
    "a Japanese particle": "は が を に へ と で も の や か ね よ から まで より など だけ ほど "
    "しか ば て には では とは への からの での にも でも",
    "a Japanese polite ending": "です ます でした ました ません でしょう ましょう "
    "ください ございます",
    "a Japanese verb form": "する した して される された している していた いる いた ある あった "
    "なる なった れる られる せる させる たい",
    "a Japanese demonstrative": "これ それ あれ この その あの ここ そこ あそこ こちら "
    "そちら こう そう",
    "a Japanese question word": "何 誰 いつ どこ なぜ どう どの どれ いくら いくつ どうして",
    "a Japanese negation": "ない なく なかった ません ず ではない なし",
    "a Japanese pronoun": "私 僕 俺 彼 彼女 あなた 我々 皆 自分",
    "a Japanese number word": "一 二 三 四 五 六 七 八 九 十 百 千 万 億 兆",
    "a Japanese counter": "人 個 本 枚 回 件 台 円 年 月 日 時 分 秒 名 歳 冊 匹",
    "a Japanese word of time": "今日 昨日 明日 今 今年 昨年 去年 来年 午前 午後 朝 夜 時間 "
    "年 月 日 週",
    "a Japanese conjunction": "しかし そして また または および だから ので のに "
    "けれど そのため さらに",
    "a Japanese honorific": "さん 様 君 氏 ちゃん 先生",
}  # fmt: skip
"""Words by class."""

ENDINGS = (
    "的",
    "性",
    "者",
    "化",
    "ます",
    "ました",
    "ません",
    "です",
    "ない",
    "した",
    "して",
    "する",
)
"""Endings of runs."""

CHARACTERS: Mapping[str, Callable[[str], bool]] = {
    "hiragana": lambda t: is_all(t, "hiragana"),
    "katakana": lambda t: is_all(t, "katakana"),
    "kanji": lambda t: is_all(t, "kanji"),
    "a single kanji": lambda t: len(t) == 1 and is_all(t, "kanji"),
    "Japanese punctuation": lambda t: bool(t) and all(c in "、。・「」『』（）！？…～" for c in t),
    "full-width letters or digits": lambda t: bool(t) and all("\uff10" <= c <= "\uff5a" for c in t),
}
"""Patterns of a token's characters, by name."""
