"""The convert step: checks a fetched dataset, resolves its split and writes what the framework reads."""
