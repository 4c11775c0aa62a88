"""Puts a new version beside the old, shifts traffic to it by weight, and takes it back when it errs."""
