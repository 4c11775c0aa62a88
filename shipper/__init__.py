"""Brings the log spool to Elasticsearch: every line once in effect, or counted as dropped."""
