"""Twins of the kernels for GPUs, written in Triton (extra `gpu`)."""
