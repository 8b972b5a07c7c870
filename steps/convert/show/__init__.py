"""Shows a dataset to people: its numbers, a sheet of samples with their labels drawn, a page."""
