"""Makes Elasticsearch and Kibana ready for the shop's log lines, as often as one likes: what is right is left alone."""
