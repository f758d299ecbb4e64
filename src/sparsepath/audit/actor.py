"""Who does something that two persons must share, or that a person decides."""

from typing import NamedTuple


class Actor(NamedTuple):
    """Who does something."""

    by: str
    """As records name who asked: `key:ID`, `user:NAME`, `local`."""
    person: str
    """Who that is: the key's name, the user's, or what they say."""
