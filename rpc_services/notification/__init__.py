"""What the shop tells its customers: messages written from events, sent once, with a log of what arrived."""
