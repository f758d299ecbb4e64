"""What can be said of a token from its text alone: one file for each kind of evidence."""
