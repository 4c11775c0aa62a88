"""What each part of the edge costs, beside bare Sanic in the same run."""
