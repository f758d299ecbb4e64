"""Modules and functions that models are made of: subsampled attention and who draws its sources."""
