"""Orders: from what is wanted to what is sold, once and only once."""
