# Announces instances of identity and follows their maintenance; it sees no other service and no other key.
service "identity" { policy = "write" }
key_prefix "kirana/maintenance/identity-" { policy = "read" }
