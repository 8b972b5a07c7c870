"""The workers: one folder per step, strangers to one another."""
