"""Alembic's environment, one for all services; each service brings only its versions."""
