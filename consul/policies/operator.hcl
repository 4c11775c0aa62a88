# What a person who runs "kirana config" and "kirana maintenance" needs: every key of the shop, and to see who is there.
key_prefix "kirana/" { policy = "write" }
service_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
