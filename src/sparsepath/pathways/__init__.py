"""Scoring units, searching sub-models, repairing them, explaining single decisions."""
