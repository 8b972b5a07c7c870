"""Trainers to start from: three small ones of one file each."""
