"""What more than one process of the shop must agree on."""
