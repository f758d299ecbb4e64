"""What columns of labelled tables are usually called, in English and Japanese.

Names are compared in NFKC form and lower case. A name counts when it is one of the words, or when
its last part is (`ticket_text`); Japanese names count when they end in one (the language has no
separator). A word for a label anywhere in a name makes it a label (`label_text` is not a text).
"""

import re
import unicodedata
from collections.abc import Set
from typing import Literal

Role = Literal["text", "label", "index"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TEXT_FIRST = _words(
    "text texts sentence sentences sent utterance document doc テキスト 文 文章 本文 発話"
)
_TEXT_SECOND = _words(
    "body content contents message messages msg review reviews comment comments question query "
    "description abstract summary title subject headline tweet post email mail prompt input "
    "request inquiry note feedback complaint statement snippet phrase docstring "
    "内容 質問 質問文 問い合わせ コメント レビュー 口コミ 説明 要約 件名 題名 タイトル 見出し 投稿 "
    "メール メッセージ 感想 意見 入力 クレーム 文言"
)
_LABEL_FIRST = _words(
    "label labels class classes category categories target intent y "
    "ラベル 分類 カテゴリ カテゴリー クラス 正解 正解ラベル"
)
_LABEL_SECOND = _words(
    "topic sentiment emotion tag type group team department area genre language lang domain rating "
    "stars score polarity priority output answer verdict outcome status "
    "区分 種別 種類 意図 感情 部署 担当 担当部署 話題 タグ 属性 評価 判定 極性 言語 結果 "
    "ジャンル"
)
_INDEX = _words(
    "id ids idx index no nr num number row rowid uid uuid guid key 番号 連番 行番号 通番"
)
_PARTS = re.compile(r"[^\W_]+", re.UNICODE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def name_rank(name: str, role: Role) -> int | None:
    """How strongly a column's name speaks for a role.

    Returns:
        0 for the plainest words of the role, 1 for further words, 2 for names that end in one;
        None for names that say nothing about the role.
    """
    whole, parts = _parts(name)
    if role == "index":
        return 0 if whole in _INDEX or (parts and parts[-1] in _INDEX) else None
    if role == "label":
        return _rank(whole, parts, _LABEL_FIRST, _LABEL_SECOND)
    if _LABEL_FIRST.intersection(parts) or name_rank(name, "index") is not None:
        return None
    return _rank(whole, parts, _TEXT_FIRST, _TEXT_SECOND)


def is_known_name(name: str) -> bool:
    """Whether a cell would be understood as the name of a column."""
    return len(name) <= 40 and any(
        name_rank(name, role) is not None for role in ("text", "label", "index")
    )


def _rank(whole: str, parts: list[str], first: Set[str], second: Set[str]) -> int | None:
    if whole in first:
        return 0
    if whole in second:
        return 1
    words = first | second
    if first is _LABEL_FIRST and first.intersection(parts):
        return 2
    if parts and parts[-1] in words:
        return 2
    japanese = tuple(word for word in words if not word.isascii())
    return 2 if whole.endswith(japanese) else None


def _parts(name: str) -> tuple[str, list[str]]:
    plain = unicodedata.normalize("NFKC", name).strip()
    parts = [part.casefold() for part in _PARTS.findall(_CAMEL.sub(" ", plain))]
    return "".join(parts), parts
