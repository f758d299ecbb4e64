"""Long work that a server starts: each job is a process, and its state is in the database.

Read first `state.py` (what is known of a job), then `runner.py` (how jobs begin and end).
"""
