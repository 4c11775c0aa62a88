"""What an operator can ask for, one verb per file."""
