"""Gives every class a colour of its own that stands out on a photograph."""

import colorsys

Colour = tuple[int, int, int]

# Told apart side by side, also by most who do not see all colours; bright enough for dark pictures.
FIRST: tuple[Colour, ...] = (
    (255, 64, 92), (34, 139, 255), (28, 196, 96), (255, 176, 0), (168, 85, 247), (0, 205, 214),
    (255, 115, 20), (240, 90, 180), (140, 200, 20), (95, 100, 240), (200, 150, 90), (110, 130, 150),
)  # fmt: skip
GOLDEN = 0.618033988749895


def colour(index: int) -> Colour:
    """Gives the colour of a class by its index."""
    if 0 <= index < len(FIRST):
        return FIRST[index]
    turn = (index * GOLDEN) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(turn, 0.62 + 0.3 * (index % 3) / 2, 0.98 - 0.28 * (index // 3 % 3) / 2)
    return round(red * 255), round(green * 255), round(blue * 255)


def hexed(shade: Colour) -> str:
    """Gives a colour as CSS writes it."""
    return "#{:02x}{:02x}{:02x}".format(*shade)


def ink(shade: Colour) -> Colour:
    """Gives black or white, whichever is read more easily on a colour."""
    red, green, blue = shade
    return (20, 22, 26) if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else (255, 255, 255)
