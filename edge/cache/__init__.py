"""Answers kept ready: in this worker's memory, over what all workers share in Redis."""
