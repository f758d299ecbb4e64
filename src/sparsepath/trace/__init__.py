"""Looking inside a running model: gates, recordings, batches."""
