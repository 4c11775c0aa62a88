# Announces edges, sees who else is there, follows and writes the one route table, and follows its own maintenance.
service "edge" { policy = "write" }
service_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
key "kirana/edge/routes" { policy = "write" }
key_prefix "kirana/maintenance/edge-" { policy = "read" }
