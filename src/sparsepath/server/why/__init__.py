"""Why a model answers as it does, by what is inside it."""
