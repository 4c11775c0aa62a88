"""What a route changes in its requests and answers on their way: header fields, JSON members."""
