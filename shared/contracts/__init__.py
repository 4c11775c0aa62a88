"""The words in which the edge and the services speak: requests, answers, refusals and events."""
