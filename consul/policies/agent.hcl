# The agents' own token: each keeps its node in the catalogue, and what was announced to it without a token in sight.
node_prefix "" { policy = "write" }
service_prefix "" { policy = "read" }
