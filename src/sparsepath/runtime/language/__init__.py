"""Language models on a CPU without torch: weights by input, one call into native code a token.

`shape.py` reads what a model is, `weights.py` stores it, `plain.py` says in numpy what the native
code (`kernels/native/decode.c`) computes, `engine.py` is what others use.
"""
