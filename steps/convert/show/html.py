"""The frame of every page: one file that holds its own style and pictures, and asks no server for anything."""

import base64
import html
import io

from PIL import Image

from steps.convert.show.colours import colour, hexed, ink
from steps.convert.show.style import STYLE


def page(title: str, body: str) -> str:
    """Gives a whole HTML page."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        # Names come from the dataset: even one that slipped through could load and run nothing.
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head><body><main>\n{body}\n</main></body></html>\n"
    )


def text(value: object) -> str:
    """Gives a value as text that is no markup."""
    plain = str(value).encode("utf-8", "backslashreplace").decode()
    return html.escape(plain)


def number(value: int | float) -> str:
    """Gives a number with thin spaces between its thousands."""
    return f"{value:,}".replace(",", "\u202f")


def amount(value: int) -> str:
    """Gives bytes in the unit that suits them."""
    size = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def chip(index: int) -> str:
    """Gives a class index on the colour of its class."""
    shade = colour(index)
    return f'<span class="chip" style="background:{hexed(shade)};color:{hexed(ink(shade))}">{index}</span>'


def picture(image: Image.Image, *, told: str = "") -> str:
    """Gives an image that carries its own bytes."""
    data = io.BytesIO()
    image.save(data, format="JPEG", quality=84, optimize=True)
    code = base64.b64encode(data.getvalue()).decode()
    size = f'width="{image.width}" height="{image.height}"'
    return f'<img src="data:image/jpeg;base64,{code}" {size} alt="{text(told)}" loading="lazy">'
