"""Steps that bring a database to the newest version; Alembic runs them in order."""
