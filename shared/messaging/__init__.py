"""What a service writes beside its change: the operation's answer, the events it caused, the events it has seen."""
