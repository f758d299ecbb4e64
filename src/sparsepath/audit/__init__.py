"""What happened, on record: an append-only log whose records are chained by hashes, and API keys.

Read first `record.py` (what is hashed), then `log.py` (how records are written) and `verify.py`.
No web framework here, and no torch.
"""
