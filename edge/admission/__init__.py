"""Who is let in when not all can be served: an adaptive limit per upstream, priorities, and a cheap refusal."""
