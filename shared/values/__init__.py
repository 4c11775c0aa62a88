"""Small values that mean the same in every process: money and identifiers."""
