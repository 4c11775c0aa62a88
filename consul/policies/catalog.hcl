# Announces instances of catalog and follows their maintenance; it sees no other service and no other key.
service "catalog" { policy = "write" }
key_prefix "kirana/maintenance/catalog-" { policy = "read" }
