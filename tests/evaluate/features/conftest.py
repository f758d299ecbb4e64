"""Finds the planted activations, and the planted model of the tests of concepts."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "concepts"))
