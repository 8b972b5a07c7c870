"""Its own process: submits what is pending, follows what runs, closes what fell silent."""
