"""Words, numbers and dates of the report in one language.

The texts are in `assets/words.en.json` and `assets/words.ja.json`, one table each with the same
keys: `{blanks}` are filled by the code, `*words*` become strong. The groups `stage`, `rule`,
`method`, `machine` and `control` give words to names that run files hold.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Literal

from sparsepath.artifacts.base import Interval
from sparsepath.errors import ConfigError
from sparsepath.report.html import Html, rich

Lang = Literal["en", "ja"]
Number = int | float

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Words:
    """Everything that is written differently in another language."""

    lang: Lang
    table: dict[str, str]

    def __call__(self, key: str, **values: str) -> str:
        """The text called `key`, with its blanks filled; still to be escaped."""
        return self.table[key].replace("*", "").format(**values)

    def rich(self, key: str, **values: str) -> Html:
        """The text called `key` as markup, `*words*` strong, values escaped."""
        return rich(self.table[key], **values)

    def known(self, group: str, name: str) -> str:
        """Our word for a name that a run file holds, or the name itself when we have none."""
        return self.table.get(f"{group}.{name}", name)

    def integer(self, value: Number) -> str:
        """A count, with thousands separated."""
        return _signed(f"{round(value):,}")

    def number(self, value: Number, digits: int = 2) -> str:
        """A decimal number with a fixed count of digits."""
        return _signed(f"{value:,.{digits}f}")

    def percent(self, share: Number, digits: int = 1) -> str:
        """A share, 0.931 as 93.1%."""
        return _signed(f"{100 * share:,.{digits}f}%")

    def points(self, change: Number, *, plus: bool = True) -> str:
        """A difference of shares in points, 0.004 as +0.4 points."""
        return self("unit.points", value=self.points_value(change, plus=plus))

    def points_value(self, change: Number, *, plus: bool = True) -> str:
        """The same without the word."""
        rounded = round(100 * change, 1) + 0.0
        return _signed(f"{rounded:+.1f}" if plus and rounded else f"{rounded:.1f}")

    def points_range(self, interval: Interval) -> str:
        """An interval of differences in points."""
        low, high = (self.points_value(end) for end in interval)
        return self("unit.points", value=self.between(low, high))

    def percent_range(self, interval: Interval) -> str:
        """An interval of shares."""
        low, high = (self.percent(end) for end in interval)
        return self.between(low, high)

    def between(self, low: str, high: str) -> str:
        """From one value to another."""
        return self("unit.between", low=low, high=high)

    def times(self, ratio: Number) -> str:
        """A ratio, 6.2 times."""
        return self("unit.times", value=self.ratio(ratio))

    def ratio(self, ratio: Number) -> str:
        """The bare number of a ratio, with two or three figures."""
        return self.number(ratio, 0 if ratio >= 100 else 1 if ratio >= 1.95 else 2)

    def milliseconds(self, value: Number) -> str:
        """A latency, with as many digits as it carries."""
        digits = 3 if value < 0.1 else 2 if value < 10 else 1 if value < 100 else 0
        return self("unit.ms", value=self.number(value, digits))

    def size(self, n_bytes: Number) -> str:
        """A file or memory size in decimal units."""
        for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
            if n_bytes >= scale:
                value = n_bytes / scale
                return f"{self.number(value, 0 if value >= 100 else 1)} {unit}"
        return f"{n_bytes:.0f} B"

    def many(self, count: Number) -> str:
        """A large count in words: 22.7 million."""
        steps = ((1e8, "oku"), (1e4, "man")) if self.lang == "ja" else ((1e9, "g"), (1e6, "m"))
        for scale, name in steps:
            if count >= scale:
                value = count / scale
                digits = 0 if value >= 100 else 1
                return self(f"unit.many.{name}", value=self.number(value, digits))
        return self.integer(count)

    def duration(self, seconds: Number) -> str:
        """A time span in hours, minutes and seconds, the two largest."""
        if seconds < 59.5:
            digits = 1 if 0 < seconds < 9.95 else 0
            return self("unit.seconds", value=self.number(seconds, digits))
        whole = round(seconds)
        if whole < 3600:
            return self("unit.minutes", minutes=str(whole // 60), seconds=str(whole % 60))
        minutes = round(seconds / 60)
        return self("unit.hours", hours=str(minutes // 60), minutes=str(minutes % 60))

    def date(self, iso: str) -> str:
        """The day of an ISO time; what is no ISO time stays as it is."""
        when = _parse(iso)
        if when is None:
            return iso
        month = _MONTHS[when.month - 1]
        return self(
            "unit.date", year=str(when.year), month=str(when.month), name=month, day=str(when.day)
        )

    def moment(self, iso: str) -> str:
        """Day and time of an ISO time."""
        when = _parse(iso)
        return iso if when is None else f"{self.date(iso)} {when:%H:%M} UTC"

    def p_value(self, p: Number) -> str:
        """A p value, never rounded to zero."""
        return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"

    def listed(self, items: list[str]) -> str:
        """Items in a row."""
        return self.table["unit.comma"].join(items)


def words(lang: str) -> Words:
    """The words of one language.

    Raises:
        ConfigError: if there is no report in that language.
    """
    known: dict[str, Lang] = {"en": "en", "ja": "ja"}
    if lang in known:
        return Words(known[lang], _table(lang))
    raise ConfigError(f"no report in language {lang!r}", hint="use --lang en or --lang ja")


def _table(lang: str) -> dict[str, str]:
    file = resources.files("sparsepath.report").joinpath("assets", f"words.{lang}.json")
    table: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return table


def _signed(text: str) -> str:
    return text.replace("-", _MINUS)


def _parse(iso: str) -> datetime | None:
    try:
        return datetime.fromisoformat(iso)
    except ValueError:
        return None
