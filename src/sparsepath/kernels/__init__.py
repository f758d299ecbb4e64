"""Tensors in, tensors out: `reference.py` says what is right, the rest are its fast twins."""
