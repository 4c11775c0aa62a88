# Announces instances of order and follows their maintenance; it sees no other service and no other key.
service "order" { policy = "write" }
key_prefix "kirana/maintenance/order-" { policy = "read" }
