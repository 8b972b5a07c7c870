"""Datasets: registered, listed, checked; and the snapshots jobs trained on."""
