"""Quality and cost of candidates, one file per claim."""
