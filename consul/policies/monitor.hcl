# What Prometheus needs to find its targets and to read the agents' own metrics; it changes nothing.
service_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
agent_prefix "" { policy = "read" }
