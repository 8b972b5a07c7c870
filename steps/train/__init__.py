"""The trainers, one folder per framework."""
