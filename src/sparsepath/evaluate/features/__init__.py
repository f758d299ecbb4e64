"""Metrics of features: sparse neurons, dense neurons and latents, all measured by the same code."""
