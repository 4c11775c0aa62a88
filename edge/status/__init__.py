"""What the page for people shows: how this edge is and how it was in the last minutes, told for all its workers."""
