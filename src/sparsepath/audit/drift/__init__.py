"""Are a model's answers still spread as in its PoC?

Read `statistic.py` (what is compared, and when it is too much), then `monitor.py` (windows of
decisions in the database).
"""
