"""What a service writes beside its change: answers, events it caused, events it saw. And messages nobody can read."""
