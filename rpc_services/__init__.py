"""The services behind the edge, each with its own database."""

SERVICES = ("identity", "catalog", "cart", "order", "notification")
