"""Who somebody is: accounts, passwords, sessions, and the keys that sign their tokens."""
