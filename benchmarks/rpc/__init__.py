"""What frames are worth: the same service behind the same edge, with and without them, and stock Nameko beside both."""
