"""The services behind the edge, each with its own database."""
