"""The catalog service: what the shop sells, how much of it there is, and for whom it is held."""
