"""Steering over HTTP: what can be steered, trying it, measuring strengths, saving a preset.

Read first `subject.py` (the model as it can be steered), then `routes.py`.
"""
