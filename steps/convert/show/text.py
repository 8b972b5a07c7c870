"""Writes text on pictures, with a font that holds its letters where one can be found."""

from functools import cache

from PIL import ImageDraw, ImageFont

from steps.convert.show.colours import Colour

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Looked for by name among the fonts of the system, for what the built-in one does not hold.
WIDE = ("NotoSansCJK-Regular.ttc", "NotoSansKR-Regular.otf", "NanumGothic.ttf", "malgun.ttf", "AppleSDGothicNeo.ttc",
        "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf", "DejaVuSans.ttf")  # fmt: skip


@cache
def font(size: int, *, wide: bool = False) -> Font:
    """Gives a font by its size in pixels; `wide` looks for one that holds more than Latin letters."""
    for name in WIDE if wide else ():
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def width(text: str, size: int) -> int:
    """Gives how many pixels a text takes."""
    return round(_font(text, size).getlength(_plain(text)))


def fitted(text: str, size: int, room: int) -> str:
    """Cuts a text in its middle such that it fits into so many pixels."""
    if width(text, size) <= room:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
        if width(short, size) <= room:
            return short
    return "…"


def write(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int, fill: Colour) -> None:
    """Writes a text with the middle of its line at the left of `place`."""
    draw.text(place, _plain(text), font=_font(text, size), fill=fill, anchor="lm")


def _font(text: str, size: int) -> Font:
    return font(size, wide=any(ord(character) > 0x24F and character != "…" for character in text))


def _plain(text: str) -> str:
    # Half a surrogate pair, from names of broken archives, is no letter of any font.
    return text.encode("utf-8", "replace").decode("utf-8", "replace").replace("\n", " ")
