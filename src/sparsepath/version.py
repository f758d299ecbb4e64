"""The version of the package; the changelog's newest entry is tested against it."""

__version__ = "0.1.0"
