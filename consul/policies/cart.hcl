# Announces instances of cart and follows their maintenance; it sees no other service and no other key.
service "cart" { policy = "write" }
key_prefix "kirana/maintenance/cart-" { policy = "read" }
