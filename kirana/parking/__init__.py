"""What services could not take in, as an operator sees it, puts it back or throws it away."""
