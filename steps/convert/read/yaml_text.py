"""What the readers of YAML share: the lines with a cursor, refusals by line, escapes and folded lines."""

import re
from typing import NoReturn

DEEPEST = 20  # levels of nesting
SPECIAL = {
    "&": "an anchor (&)", "*": "an alias (*)", "!": "a tag (!)", "%": "a directive (%)", "@": "a reserved `@`",
    "`": "a reserved backtick", "]": "a stray `]`", "}": "a stray `}`", ",": "a stray comma",
}  # fmt: skip
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b", " ": " ",
    '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029", "\t": "\t",
}  # fmt: skip
WIDTHS = {"x": 2, "u": 4, "U": 8}

Value = str | None | list["Value"] | dict[str, "Value"]


class YamlRefused(ValueError):
    """YAML that is broken or beyond what is understood; says the line."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        super().__init__(f"line {line}: {message}")


class Lines:
    """The lines of a text and the row that is being read."""

    def __init__(self, text: str) -> None:
        self.lines = re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))
        self.row = 0

    def refuse(self, message: str, row: int | None = None) -> NoReturn:
        """Raises YamlRefused for the line that is being read, or another."""
        raise YamlRefused((self.row if row is None else row) + 1, message)


def content(line: str) -> str:
    """Gives a line without its comment and the spaces around."""
    text = line.strip(" \t")
    if text.startswith("#"):
        return ""
    if "#" not in text:
        return text
    match = re.search(r"[ \t]#", text)
    return text[: match.start()].rstrip(" \t") if match else text


def fold(pieces: list[str], *, escapes: bool) -> str:
    """Joins the lines of a quoted text: a break is a space, an empty line is a break."""
    text, breaks = pieces[0], 0
    for position, piece in enumerate(pieces[1:], 1):
        last = position == len(pieces) - 1
        stripped = piece.lstrip(" \t") if last else piece.strip(" \t")
        if not stripped and not last:
            breaks += 1
            continue
        if escapes and re.search(r"(?<!\\)(\\\\)*\\$", text):
            text = text[:-1] + "\n" * breaks + stripped
        else:
            text = text.rstrip(" \t") + ("\n" * breaks or " ") + stripped
        breaks = 0
    return text


def unescape(text: str, *, line: int) -> str:
    """Resolves the escapes of a text in double quotes."""

    def one(match: re.Match[str]) -> str:
        letter = match[1][0]
        if letter in WIDTHS:
            digits = match[1][1:]
            code = int(digits or "0", 16)
            if len(digits) != WIDTHS[letter] or code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise YamlRefused(line, f"the escape \\{match[1]} is broken")
            return chr(code)
        if letter not in ESCAPES:
            raise YamlRefused(line, f"the escape \\{letter} is unknown; double the backslash, or use single quotes")
        return ESCAPES[letter]

    pattern = r"\\(x[0-9a-fA-F]{0,2}|u[0-9a-fA-F]{0,4}|U[0-9a-fA-F]{0,8}|.)"
    return re.sub(pattern, one, text, flags=re.DOTALL)
