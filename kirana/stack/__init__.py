"""Runs the whole shop on one machine: private servers, the services and the edge, kept by a supervisor."""
