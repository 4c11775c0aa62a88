"""The gateway: the only process the outside can reach."""
