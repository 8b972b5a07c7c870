"""Reads YAML values in brackets and quotes."""

import re

from steps.convert.read.yaml_text import DEEPEST, NULLS, SPECIAL, Lines, Value, fold, unescape

PLAIN = re.compile(r"(?:[^,\[\]{}:#]|(?<!\s)#|:(?=[^\s,\[\]{}]))*")


class Flow:
    """Reads a value in brackets or quotes, over several lines where it has to."""

    def __init__(self, reader: Lines, column: int) -> None:
        self.reader, self.column, self.start = reader, column, reader.row

    def value(self, depth: int) -> Value:
        if depth > DEEPEST:
            self.reader.refuse("it is nested too deeply")
        first = self.peek()
        if first == "[":
            return self.items(depth)
        if first == "{":
            return self.pairs(depth)
        return self.scalar()

    def peek(self) -> str:
        """Gives the next character that is no space, break or comment."""
        reader = self.reader
        while reader.row < len(reader.lines):
            line = reader.lines[reader.row]
            while self.column < len(line) and line[self.column] in " \t":
                self.column += 1
            comment = line[self.column : self.column + 1] == "#" and (
                self.column == 0 or line[self.column - 1] in " \t"
            )
            if self.column < len(line) and not comment:
                return line[self.column]
            reader.row, self.column = reader.row + 1, 0
        reader.refuse("what begins here has no end", self.start)

    def items(self, depth: int) -> list[Value]:
        self.column += 1
        found: list[Value] = []
        while self.peek() != "]":
            found.append(self.value(depth + 1))
            self.separate("]")
        self.column += 1
        return found

    def pairs(self, depth: int) -> dict[str, Value]:
        self.column += 1
        found: dict[str, Value] = {}
        while self.peek() != "}":
            key = self.scalar()
            if key is None or key in found:
                self.reader.refuse(f"the key {key!r} stands twice" if key else "a key is empty")
            if self.peek() == ":":
                self.column += 1
                found[key] = None if self.peek() in ",}" else self.value(depth + 1)
            else:
                found[key] = None
            self.separate("}")
        self.column += 1
        return found

    def separate(self, end: str) -> None:
        after = self.peek()
        if after == ",":
            self.column += 1
        elif after != end:
            self.reader.refuse(f"a comma or `{end}` is missing before {after!r}")

    def scalar(self) -> str | None:
        quote = self.peek()
        if quote in "\"'":
            return self.quoted(quote)
        if quote in SPECIAL or quote in "|>?#":
            self.reader.refuse(f"{SPECIAL.get(quote, repr(quote))} is not understood here")
        pieces = []
        while True:
            line = self.reader.lines[self.reader.row]
            match = PLAIN.match(line, self.column)
            assert match is not None
            pieces.append(match[0].strip())
            self.column = match.end()
            # A text without quotes may go on in the next line.
            if self.column < len(line) or self.peek() in ",]}:[{":
                break
        text = " ".join(pieces)
        return None if text in NULLS else text

    def quoted(self, quote: str) -> str:
        reader = self.reader
        ends = re.compile(r'(?:[^"\\]|\\.)*' if quote == '"' else r"(?:[^']|'')*")
        pieces: list[str] = []
        self.column += 1
        while True:
            line = reader.lines[reader.row]
            match = ends.match(line, self.column)
            assert match is not None
            if line[match.end() : match.end() + 1] == quote:
                pieces.append(match[0])
                self.column = match.end() + 1
                break
            pieces.append(line[self.column :])
            reader.row, self.column = reader.row + 1, 0
            if reader.row >= len(reader.lines):
                reader.refuse("the quote that begins here has no end", self.start)
        text = fold(pieces, escapes=quote == '"')
        return unescape(text, line=self.start + 1) if quote == '"' else text.replace("''", "'")
