"""Automatic labels of neurons in Japanese, from the form in which a catalogue keeps them.

A part of a label is a key that belongs to no language, such as `after:class:a comma` or
`topic:about`, with the words of the corpus that it names. Its English wording is made where the
evidence is found (`concepts/evidence`) and kept beside it; the Japanese one is made here when it
is shown. A label that was made before there were keys stays English.
"""

from collections.abc import Mapping, Sequence

from sparsepath.artifacts.catalogue_schema import DEAD, NO_CLEAR_MEANING, RulePart

N_NAMED = 5
"""Words that a label spells out."""

LABELS: Mapping[str, str] = {NO_CLEAR_MEANING: "明確な意味なし", DEAD: "発火しない"}
"""Labels that say nothing."""

AFTER = "after:"
"""Begins the key of what stands before the token."""

TOKENS: Mapping[str, str] = {
    ",": "コンマ", ".": "ピリオド", ":": "コロン", ";": "セミコロン", "?": "疑問符",
    "!": "感嘆符", "-": "ハイフン", "\u2013": "ダッシュ", "\u2014": "長いダッシュ",
    "/": "スラッシュ", "(": "開き括弧", ")": "閉じ括弧", "[": "開き角括弧", "]": "閉じ角括弧",
    "{": "開き波括弧", "}": "閉じ波括弧", '"': "引用符", "'": "アポストロフィ",
    "\u2019": "アポストロフィ", "=": "等号", "%": "パーセント記号", "$": "ドル記号",
    "#": "シャープ記号", "*": "アスタリスク", "_": "下線", "\n": "改行", "": "文書の終わり",
    "。": "句点", "、": "読点", "「": "開きかぎ括弧", "」": "閉じかぎ括弧", "・": "中点",
    "ー": "長音符",
}  # fmt: skip
"""Tokens that have a name."""

NAMES: Mapping[str, str] = {
    # kinds of token, by characters
    "punctuation": "句読点・記号",
    "the end of a sentence": "文末の記号",
    "a bracket": "括弧",
    "an opening bracket": "開き括弧",
    "a closing bracket": "閉じ括弧",
    "a quotation mark": "引用符",
    "a dash": "ダッシュ",
    "a mathematical sign": "数学記号",
    "a number": "数字",
    "a number with one digit": "1桁の数字",
    "a number with two digits": "2桁の数字",
    "a number with three digits": "3桁の数字",
    "a number with four digits": "4桁の数字",
    "a single letter": "1文字",
    "a capital letter": "大文字1字",
    "two or three letters": "2～3文字",
    "capital letters": "大文字のつづり",
    "letters with accents": "アクセント付き文字",
    "Greek or Cyrillic letters": "ギリシャ文字・キリル文字",
    "Chinese, Japanese or Korean characters": "漢字・かな・ハングル",
    "a Python keyword": "Pythonの予約語",
    "a name with an underscore": "下線を含む名前",
    "hiragana": "ひらがな",
    "katakana": "カタカナ",
    "kanji": "漢字",
    "a single kanji": "漢字1字",
    "Japanese punctuation": "日本語の句読点",
    "full-width letters or digits": "全角の英数字",
    # ... with its space
    "a line break": "改行",
    "white space": "空白",
    "indentation": "字下げ",
    "the beginning of a word": "語の始まり",
    "the beginning of a capitalised word": "大文字で始まる語の始まり",
    "the beginning of a word in small letters": "小文字の語の始まり",
    "letters that go on a word": "語の続きの文字",
    "a whole short word": "短い語",
    "a long token": "長いトークン",
    "the end of a document": "文書の終わり",
    # classes of words
    "an article": "冠詞",
    "a demonstrative": "指示語",
    "a preposition": "前置詞",
    "a pronoun": "代名詞",
    "a possessive": "所有格",
    "a conjunction": "接続詞",
    "a form of be": "be動詞",
    "a form of have or do": "haveまたはdoの活用形",
    "a modal verb": "助動詞",
    "a negation": "否定語",
    "a question word": "疑問詞",
    "a quantity word": "数量の語",
    "a number word": "数詞",
    "a month": "月の名前",
    "a weekday": "曜日",
    "a word of time": "時の語",
    "a word for people": "人を表す語",
    "a word for places": "場所を表す語",
    "a word of speech": "発話の語",
    "a year": "西暦年",
    "a Japanese particle": "助詞",
    "a Japanese polite ending": "丁寧な文末（です・ます）",
    "a Japanese verb form": "動詞・助動詞の活用形",
    "a Japanese demonstrative": "指示語（こそあど）",
    "a Japanese question word": "疑問詞（何・どこなど）",
    "a Japanese negation": "否定（ない・ません）",
    "a Japanese pronoun": "人称代名詞",
    "a Japanese number word": "漢数字",
    "a Japanese counter": "助数詞",
    "a Japanese word of time": "時を表す語",
    "a Japanese conjunction": "接続の語",
    "a Japanese honorific": "敬称",
    # places
    "the first token read": "読み始めの最初",
    "the first token of a document": "文書の最初",
    "at the start of a line": "行頭",
    "at the start of a sentence": "文頭",
    "in the first five words of a line": "行の最初の5語の中",
    # surroundings
    "inside quotation marks": "引用符の中",
    "inside brackets": "括弧の中",
    "inside a docstring": "docstringの中",
    "inside a comment": "コメントの中",
    "on an indented line": "字下げした行の中",
}
"""What a key that names one thing is called."""


def in_japanese(label: str, parts: Sequence[RulePart], join: str) -> str:
    """Say an automatic label in Japanese.

    Args:
        label: English one, for what has no parts, and for a catalogue without keys.
        parts: of it.
        join: `and` or `or`, as `Details.join`.
    """
    if label in LABELS:
        return LABELS[label]
    phrases = [phrase(part) for part in parts]
    if not phrases or None in phrases:
        return label
    said = [text for text in phrases if text is not None]
    if join == "and" and len(said) > 1:
        first, second = parts[0], parts[1]
        place, head = (said[1], said[0]) if is_head(first) else (said[0], said[1])
        both = f"{place}の{head}" if is_head(first) or is_head(second) else f"{place}、かつ{head}"
        said = [both, *said[2:]]
    return "、または".join(said)


def is_head(part: RulePart) -> bool:
    """Say whether a part says what the token is; else it says where it stands."""
    return part.key.partition(":")[0] in ("token", "word", "class")


def phrase(part: RulePart) -> str | None:
    """Say a part of a label in Japanese; None where it has no key that is known."""
    key = part.key
    if key.startswith(AFTER):
        before = phrase(part.model_copy(update={"key": key.removeprefix(AFTER)}))
        return None if before is None else f"{before}の直後"
    kind, _, name = key.partition(":")
    if kind == "token":
        is_words = all(text[:1] == " " and text.strip().isalpha() for text in part.values)
        return "語" * is_words + _either([_token(text) for text in part.values])
    if kind == "word":
        return "語" + _either([f"「{word}」" for word in part.values])
    if kind == "ending":
        return f"「{name}」で終わる語"
    if kind in ("first-read", "first-of-document"):
        return f"{'読み始め' if kind == 'first-read' else '文書'}から{name}トークン以内"
    if kind in _ABOUT:
        return _ABOUT[kind].format(_either([f"「{word}」" for word in part.args]) or "その他")
    return NAMES.get(name if kind == "class" else key)


_ABOUT = {
    "topic-about": "{}の話題の中",
    "topic-with": "{}を含む文の中",
    "topic-like": "{}のような文脈の中",
    "label": "クラス{}の文の中",
}


def _token(text: str) -> str:
    """Name a token."""
    bare = text.strip(" ")
    if bare in TOKENS:
        return TOKENS[bare]
    if not text.strip():
        return "改行と字下げ" if "\n" in text else f"空白{len(text)}個"
    shown = bare.replace("\n", "\u21b5").replace("\t", "\u21e5")
    return f"「{shown}」"


def _either(names: list[str]) -> str:
    """Join names by `または`; of many the first ones and how many more."""
    names = list(dict.fromkeys(names))
    if len(names) > N_NAMED + 1:
        return f"{''.join(names[:N_NAMED])}など{len(names)}種"
    if len(names) < 2:
        return "".join(names)
    return f"{'、'.join(names[:-1])}または{names[-1]}"
