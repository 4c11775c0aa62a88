"""The table in force: checked, swapped whole, told, and kept for the next start."""
