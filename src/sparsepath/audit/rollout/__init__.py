"""A new model takes over in stages that can be undone.

Read first `state.py` (stages, and how they change), then `rules.py` (what decides by rule),
`tally.py` (what is counted) and `gates.py` (what the counts decide).
"""
