"""The commands of `python -m steps.convert`: one JSON result, progress as lines, an exit code that says how it went."""
