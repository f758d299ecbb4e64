"""Steering: edit single neurons of a running language model, and measure what that does."""
