"""The data contract of a run folder: schemas, a path-safe atomic store, provenance.

Nothing here imports torch. Computation writes these artifacts; views read them.
Read next: `schema.py` (run.json, results.json), `store.py` (how files are written).
"""
