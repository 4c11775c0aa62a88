"""Where a route leads: a service by RPC, or one of the few targets written by hand."""
