"""From tokens to text while they come: whole characters only, and nothing from a stop text on."""

from collections.abc import Sequence

from tokenizers import Tokenizer

UNFINISHED = "\ufffd"
"""What a tokenizer gives for bytes that are no whole character yet."""

MAX_UNFINISHED = 8
"""Tokens after which an unfinished character is none."""


class TextStream:
    """The text of growing token ids."""

    def __init__(self, tokenizer: Tokenizer, before: Sequence[int]) -> None:
        """Begin after the tokens of a prompt, on which the first space may depend."""
        self._tokenizer = tokenizer
        self._ids = list(before[-MAX_UNFINISHED:])
        self._start, self._end = 0, len(self._ids)

    def push(self, token: int) -> str:
        """Add a token; give the text that is certain now."""
        self._ids.append(token)
        return self._told(is_last=len(self._ids) - self._end >= MAX_UNFINISHED)

    def finish(self) -> str:
        """Give what is left."""
        return self._told(is_last=True)

    def _told(self, *, is_last: bool) -> str:
        """Give the text beyond what was given, with some tokens before it for its spaces."""
        known = self._tokenizer.decode(self._ids[self._start : self._end])
        now = self._tokenizer.decode(self._ids[self._start :])
        if len(now) <= len(known) or (now.endswith(UNFINISHED) and not is_last):
            return ""
        self._start, self._end = self._end, len(self._ids)
        return now[len(known) :]


class Stops:
    """Ends a text before the first of some stop texts."""

    def __init__(self, stops: Sequence[str]) -> None:
        """Take the texts, none of them empty."""
        self._stops = tuple(stops)
        self._held = ""
        self.has_stopped = False

    def push(self, text: str) -> str:
        """Add text; give what surely comes before every stop text."""
        self._held += text
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.has_stopped = True
            told, self._held = self._held[: min(places)], ""
            return told
        # The longest end that a stop text may begin with stays back.
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        held = next(
            (
                n
                for n in range(min(longest, len(self._held)), 0, -1)
                if any(stop.startswith(self._held[-n:]) for stop in self._stops)
            ),
            0,
        )
        told = self._held[: len(self._held) - held]
        self._held = self._held[len(told) :]
        return told

    def finish(self) -> str:
        """Give what stayed back, when no more comes."""
        told, self._held = self._held, ""
        return told
