"""What may change while the shop runs: kept in Consul, checked before it is written, with a history to go back in."""
