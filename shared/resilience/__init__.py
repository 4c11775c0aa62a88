"""Pure state machines that keep one sick part from sinking the others; the clock is passed in."""
