# Announces instances of notification and follows their maintenance; it sees no other service and no other key.
service "notification" { policy = "write" }
key_prefix "kirana/maintenance/notification-" { policy = "read" }
