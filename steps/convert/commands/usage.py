"""What a person asked for in a way that makes no sense: one line, exit code 2."""


class Usage(Exception):
    """A command that cannot be carried out as it was given; its text is the one line that is told."""
