"""Settings come from the environment, are checked once, and report every fault at once."""
