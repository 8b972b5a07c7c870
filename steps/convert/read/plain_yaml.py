"""Reads the YAML that dataset descriptions are written in, and refuses what goes beyond it by name and line."""

import re

from steps.convert.read.yaml_flow import Flow
from steps.convert.read.yaml_text import DEEPEST, NULLS, SPECIAL, Lines, Value, YamlRefused, content, unescape

__all__ = ["Value", "YamlRefused", "parse_yaml"]


def parse_yaml(text: str) -> Value:
    """Gives maps, lists, texts and None; numbers and booleans stay the text they were written as."""
    reader = _Blocks(text)
    value = reader.node(0, 0)
    reader.skip_blank()
    if reader.row < len(reader.lines):
        reader.refuse("this line does not belong to what stands above it")
    return value


class _Blocks(Lines):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        for row, line in enumerate(self.lines):
            if line == "---" or line.startswith("--- #"):
                if any(content(before) for before in self.lines[:row]):
                    self.refuse("a second document begins", row)
                self.lines[row] = ""
            elif line.rstrip() == "...":
                self.lines[row:] = [""] * (len(self.lines) - row)
                break

    def skip_blank(self) -> None:
        while self.row < len(self.lines) and not content(self.lines[self.row]):
            self.row += 1

    def indent(self) -> int:
        line = self.lines[self.row]
        width = len(line) - len(line.lstrip(" "))
        if line[width : width + 1] == "\t":
            self.refuse("a tab indents this line; use spaces")
        return width

    def node(self, least: int, depth: int) -> Value:
        """Reads what begins on the next line that is indented by at least `least` columns."""
        self.skip_blank()
        if self.row >= len(self.lines) or (indent := self.indent()) < least:
            return None
        if depth > DEEPEST:
            self.refuse("it is nested too deeply")
        line = self.lines[self.row]
        if _is_item(line[indent:]):
            return self.sequence(indent, depth)
        if self.key_end(line, indent) is not None:
            return self.mapping(indent, depth)
        return self.inline(indent, indent - 1, depth)

    def sequence(self, indent: int, depth: int) -> list[Value]:
        items: list[Value] = []
        while self.at(indent) and _is_item(self.lines[self.row][indent:]):
            line = self.lines[self.row]
            if content(line[indent + 1 :]):
                # What follows the dash is read as if it stood on a line of its own.
                self.lines[self.row] = " " * (indent + 1) + line[indent + 1 :]
                items.append(self.node(indent + 1, depth + 1))
            else:
                self.row += 1
                items.append(self.node(indent + 1, depth + 1))
        self.no_deeper(indent)
        return items

    def mapping(self, indent: int, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while self.at(indent) and not _is_item(self.lines[self.row][indent:]):
            line = self.lines[self.row]
            end = self.key_end(line, indent)
            if end is None:
                self.refuse(f"{line.strip()[:40]!r} is no `key: value`")
            key, after = end
            if key in found:
                self.refuse(f"the key {key!r} stands twice")
            if key == "<<":
                self.refuse("a merge (<<) is not understood")
            if content(line[after:]):
                found[key] = self.inline(after, indent, depth + 1)
                continue
            self.row += 1
            self.skip_blank()
            # A list may stand as far left as the key that it belongs to.
            listed = self.at(indent) and _is_item(self.lines[self.row][indent:])
            found[key] = self.node(indent if listed else indent + 1, depth + 1)
        self.no_deeper(indent)
        return found

    def at(self, indent: int) -> bool:
        self.skip_blank()
        return self.row < len(self.lines) and self.indent() == indent

    def no_deeper(self, indent: int) -> None:
        self.skip_blank()
        if self.row < len(self.lines) and self.indent() > indent:
            self.refuse("this line is indented otherwise than the ones above")

    def key_end(self, line: str, column: int) -> tuple[str, int] | None:
        """Gives the key that begins here, and the column after its colon; None where no key begins."""
        first = line[column]
        if first in "[{":
            return None
        if first == "?" and line[column + 1 : column + 2] in ("", " "):
            self.refuse("a complex key (?) is not understood")
        if first in "\"'":
            match = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\']|\'\')*)\'').match(line, column)
            if not match or not (colon := re.compile(r"\s*:(?=\s|$)").match(line, match.end())):
                return None
            text = match[1]
            return (unescape(text, line=self.row + 1) if text is not None else match[2].replace("''", "'")), colon.end()
        colon = re.compile(r"(?:[^:#]|(?<!\s)#|:(?=\S))*?:(?=\s|$)").match(line, column)
        if not colon:
            return None
        if first in SPECIAL or first in "|>" or line[column : column + 2] in (":", ": "):
            self.refuse(f"{SPECIAL.get(first, repr(first))} is not understood here")
        return line[column : colon.end() - 1].rstrip(), colon.end()

    def inline(self, column: int, indent: int, depth: int) -> Value:
        """Reads the value that begins on this line at or after a column, and moves past its end."""
        line = self.lines[self.row]
        column += len(line[column:]) - len(line[column:].lstrip())
        first = line[column]
        if first in "|>":
            return self.block(line[column:], indent)
        if first in "[{\"'":
            flow = Flow(self, column)
            value = flow.value(depth)
            if content(self.lines[self.row][flow.column :]) or not _ends(self.lines[self.row], flow.column):
                self.refuse(f"{self.lines[self.row][flow.column :].strip()[:20]!r} follows the end of a value")
            self.row += 1
            return value
        if first in SPECIAL:
            self.refuse(f"{SPECIAL[first]} is not understood")
        text = self.plain(line[column:])
        start, self.row = self.row, self.row + 1
        while text and self.row < len(self.lines):
            more = self.lines[self.row]
            if not more.strip() or len(more) - len(more.lstrip(" ")) <= indent or not content(more):
                break
            if not self.lines[start].endswith(content(self.lines[start])):
                break  # a comment ends a plain text
            text += " " + self.plain(more.strip())
            start, self.row = self.row, self.row + 1
        return None if text in NULLS else text

    def plain(self, text: str) -> str:
        text = content(text)
        if re.search(r":(\s|$)", text):
            self.refuse(f"a colon followed by a space within {text[:40]!r}: put the text in quotes")
        return text

    def block(self, header: str, indent: int) -> str:
        match = re.fullmatch(r"([|>])([+-]?)([1-9]?)([+-]?)", content(header))
        if not match:
            self.refuse(f"the block header {header.strip()[:20]!r} is not understood")
        self.row += 1
        start = self.row
        while self.row < len(self.lines):
            line = self.lines[self.row]
            if line.strip() and len(line) - len(line.lstrip(" ")) <= indent:
                break
            self.row += 1
        kept = self.lines[start : self.row]
        return "\n".join(line.strip() for line in kept).strip("\n")


def _is_item(text: str) -> bool:
    return text.startswith(("- ", "-\t")) or text.rstrip() == "-"


def _ends(line: str, column: int) -> bool:
    # A comment needs a space before it.
    return line[column : column + 1] in ("", " ", "\t")
