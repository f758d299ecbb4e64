"""The main job: from a labelled table to a lighter, explained model and a report."""

from sparsepath.config import PocOptions
from sparsepath.poc.run import run_poc

__all__ = ["PocOptions", "run_poc"]
