"""Serving a model over HTTP: one process, every answer on record.

Read first `app.py` (what is asked where), then `batching.py` (how texts reach the engine) and
`journal.py` (how answers reach the log). No torch here.
"""
