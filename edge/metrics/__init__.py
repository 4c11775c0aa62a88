"""The edge's metrics: what each worker knows, told by one port for all of them."""
