"""Tables and texts: reading, splitting, the built-in demo. No torch."""
