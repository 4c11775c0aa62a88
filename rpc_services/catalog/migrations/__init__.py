"""How the database of the order service came to be what it is."""
