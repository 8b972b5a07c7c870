"""Puts samples and classes together on one picture, such that a wrong class order is seen by eye."""

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from steps.convert.show.colours import Colour, colour, ink
from steps.convert.show.samples import CUT, ROOM, Sample, Samples
from steps.convert.show.text import fitted, width, write
from steps.convert.split.request import PARTS

WIDE, EDGE, GAP = 2000, 40, 20
CAPTION = 46  # below a sample
HEAD = 118
LISTED = 120  # classes that are listed
PAPER: Colour = (247, 248, 250)
CARD: Colour = (255, 255, 255)
INK: Colour = (24, 28, 36)
FAINT: Colour = (112, 120, 134)
LINE: Colour = (224, 228, 235)
PART_COLOURS: dict[str, Colour] = {"train": (46, 92, 184), "val": (178, 98, 20), "test": (110, 64, 170)}


def draw_sheet(facts: dict[str, Any], made: Samples, *, title: str) -> Image.Image:
    """Gives the sheet: a head, the classes with cut-outs of their objects, the samples."""
    classes = facts["classes"][:LISTED]
    columns = 1 if len(classes) <= 6 else 2 if len(classes) <= 16 else 4
    line = CUT + 12 if any(made.strips) else 40
    rows = -(-len(classes) // columns)
    across = 4
    deep = -(-len(made.samples) // across)
    more = 40 if len(facts["classes"]) > LISTED else 0
    below = HEAD + rows * line + more + (GAP * 2 if rows else 0)
    height = below + deep * (ROOM[1] + CAPTION + GAP) + EDGE
    sheet = Image.new("RGB", (WIDE, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    _head(draw, facts, title)
    room = (WIDE - 2 * EDGE - (columns - 1) * GAP) // columns
    for number, row in enumerate(classes):
        left = EDGE + (number // rows) * (room + GAP)
        top = HEAD + (number % rows) * line
        strip = made.strips[number] if number < len(made.strips) else []
        _class(sheet, draw, row, strip, (left, top, left + room, top + line - 12))
    if more:
        write(draw, (EDGE, below - 40), f"… and {len(facts['classes']) - LISTED} more classes", 18, FAINT)
    for number, sample in enumerate(made.samples):
        left = EDGE + (number % across) * (ROOM[0] + GAP)
        top = below + (number // across) * (ROOM[1] + CAPTION + GAP)
        _sample(sheet, draw, sample, left, top)
    return sheet


def write_sheet(facts: dict[str, Any], made: Samples, path: Path, *, title: str) -> None:
    """Writes the sheet as PNG."""
    draw_sheet(facts, made, title=title).save(path, format="PNG", compress_level=4)


def summary(facts: dict[str, Any]) -> str:
    """Gives a dataset in one line."""
    counts = facts["counts"]
    words = [facts["task"].replace("_", " "), facts["layout"], _many(counts.get("images", 0), "image")]
    words += [_many(counts.get("annotations", 0), "annotation"), _many(len(facts["classes"]), "class", "classes")]
    if split := facts.get("split"):
        words.append(" / ".join(f"{split['counts'][part]} {part}" for part in PARTS if split["counts"][part]))
    return "   ·   ".join(words)


def _many(count: int, one: str, more: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}".replace(",", " ")


def _head(draw: ImageDraw.ImageDraw, facts: dict[str, Any], title: str) -> None:
    write(draw, (EDGE, 44), fitted(title, 34, WIDE - 2 * EDGE), 34, INK)
    write(draw, (EDGE, 82), summary(facts), 19, FAINT)


def _class(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    row: dict[str, Any],
    strip: list[Image.Image],
    place: tuple[int, int, int, int],
) -> None:
    left, top, right, bottom = place
    middle = (top + bottom) / 2
    draw.rounded_rectangle(place, radius=10, fill=CARD, outline=LINE)
    shade = colour(row["index"])
    number = str(row["index"])
    chip = max(44, width(number, 22) + 22)
    draw.rounded_rectangle((left + 10, middle - 17, left + 10 + chip, middle + 17), radius=8, fill=shade)
    write(draw, (left + 10 + (chip - width(number, 22)) / 2, middle), number, 22, ink(shade))
    text = left + chip + 24
    room = right - text - 10
    named = min(270, room // 2) if strip else room - 120
    told = f"{row['annotations']} in {_many(row['images'], 'image')}"
    if bottom - top > 60:
        write(draw, (text, middle - 13), fitted(row["name"], 22, named), 22, INK)
        write(draw, (text, middle + 15), fitted(told, 15, named), 15, FAINT)
    else:
        write(draw, (text, middle), fitted(row["name"], 17, named), 17, INK)
        write(draw, (right - 100, middle), f"{row['annotations']}×", 15, FAINT)
    x = text + named + 14
    for cut in strip:
        if x + CUT > right - 6:
            break
        sheet.paste(cut, (x, int(middle - CUT / 2)))
        x += CUT + 8


def _sample(sheet: Image.Image, draw: ImageDraw.ImageDraw, sample: Sample, left: int, top: int) -> None:
    draw.rounded_rectangle((left, top, left + ROOM[0], top + ROOM[1] + CAPTION), radius=10, fill=CARD, outline=LINE)
    picture = sample.picture
    at = (left + (ROOM[0] - picture.width) // 2, top + (ROOM[1] - picture.height) // 2)
    sheet.paste(picture, at)
    y = top + ROOM[1] + CAPTION / 2
    x = left + 12
    if sample.part:
        shade = PART_COLOURS[sample.part]
        wide = width(sample.part, 15) + 16
        draw.rounded_rectangle((x, y - 12, x + wide, y + 12), radius=6, fill=shade)
        write(draw, (x + 8, y), sample.part, 15, (255, 255, 255))
        x += wide + 10
    end = left + ROOM[0] - 12
    chips = [(index, str(count)) for index, count in sorted(sample.labels.items())]
    for index, count in reversed(chips[:5]):
        wide = width(count, 14) + 22
        end -= wide
        shade = colour(index)
        draw.ellipse((end, y - 6, end + 12, y + 6), fill=shade)
        write(draw, (end + 16, y), count, 14, INK)
    if not chips:
        end -= width("no labels", 14) + 6
        write(draw, (end, y), "no labels", 14, FAINT)
    write(draw, (x, y), fitted(sample.name, 15, int(end - x - 10)), 15, INK)
