"""Reads one Pascal VOC annotation file safely: no document types, no entities, whatever its encoding."""

import re
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError, fromstring

from steps.convert.read.class_names import class_name

LARGEST = 2**24  # bytes: a hundred thousand objects
GENUINE = re.compile(r"The VOC\d{4}", re.IGNORECASE)
ENCODING = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._:-]+)["']""")
FORBIDDEN, FORBIDDEN_BYTES = re.compile("<!(DOCTYPE|ENTITY)"), re.compile(b"<!(DOCTYPE|ENTITY)")
OWN = frozenset([b"utf-8", b"utf8", b"us-ascii", b"ascii"])  # what the parser reads by itself, and is fast with
RARE = frozenset({"difficult", "polygon", "part", "robndbox", "deleted"})
CORNERS = ("xmin", "ymin", "xmax", "ymax")

Box = tuple[float, float, float, float]
NAN = float("nan")


@dataclass(slots=True)
class VocObject:
    """One object; `box` is x, y, width, height; NaNs where it has none, a text where what it has is no box."""

    name: str
    box: Box | str
    polygon: list[float] | str = field(default_factory=list)
    difficult: bool = False
    parts: int = 0


@dataclass(slots=True)
class VocFile:
    """What one annotation file says; a size of 0 is not known."""

    image: str = ""
    width: int = 0
    height: int = 0
    genuine: bool = False  # it says itself that it is Pascal's: pixels are counted from 1, both ends included
    objects: list[VocObject] = field(default_factory=list)
    oriented: bool = False


class XmlRefused(ValueError):
    """An annotation file that cannot be read, with the cure as its second argument."""


def read_xml(raw: bytes) -> VocFile:
    """Reads an annotation file; raises XmlRefused saying why it cannot be.

    Coordinates are edges, as today's tools write them. Pascal's own files number the pixels from 1 and name the last
    one; they are recognised by `<source><database>The VOC… Database`, and moved by one pixel at the upper left.
    """
    root = _parse(raw)
    if root.tag != "annotation":
        raise XmlRefused(f"its root is <{root.tag[:40]}>, not <annotation>", "remove the file, or export Pascal VOC")
    found = VocFile()
    objects: list[Element] = []
    for node in root:
        tag = node.tag
        if tag == "object":
            objects.append(node)
        elif tag == "filename":
            found.image = (node.text or "").strip()
        elif tag == "size":
            found.width, found.height = _side(node.findtext("width")), _side(node.findtext("height"))
        elif tag == "imagesize":  # LabelMe
            found.width, found.height = _side(node.findtext("ncols")), _side(node.findtext("nrows"))
        elif tag == "source":
            found.genuine = bool(GENUINE.match((node.findtext("database") or "").strip()))
    for node in objects:
        one = _object(node, found)
        if one is not None:
            found.objects.append(one)
    return found


def _parse(raw: bytes) -> Element:
    if len(raw) > LARGEST:
        raise XmlRefused(f"it is larger than {LARGEST >> 20} MB", "export the annotations again")
    if not raw or raw.isspace():
        raise XmlRefused("it is empty", "export the annotations again, or remove it if the image is not labeled")
    text: str | bytes = raw
    declared = ENCODING.match(raw.removeprefix(b"\xef\xbb\xbf"))
    coding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else declared[1].decode() if declared else "utf-8"
    if coding.lower().encode() not in OWN:
        try:
            text = raw.decode(coding)
        except LookupError:
            raise XmlRefused(f"its encoding {coding!r} is unknown", "save it as UTF-8") from None
        except (UnicodeError, ValueError):
            raise XmlRefused(f"it is not {coding}, as it says", "save it as UTF-8") from None
    # Entities can make a small file huge, or read another file: no annotation tool writes them.
    if FORBIDDEN.search(text) if isinstance(text, str) else b"!" in text and FORBIDDEN_BYTES.search(text):
        raise XmlRefused("it declares a document type or entities, which are refused", "remove the <!DOCTYPE …>")
    try:
        return fromstring(text)
    except ParseError as error:
        line, column = error.position
        what = str(error).partition(":")[0]
        message = f"broken XML at line {line}, column {column + 1}: {what}"
        raise XmlRefused(message, "mend it, save it as UTF-8, or export it again") from None
    except (ValueError, RecursionError) as error:
        raise XmlRefused(f"unreadable XML: {error}", "export it again") from None


def _object(node: Element, found: VocFile) -> VocObject | None:
    name, difficult, parts = "", False, 0
    box: Box | str = (NAN, NAN, NAN, NAN)
    polygon: list[float] | str = []
    for child in node:
        tag = child.tag
        if tag == "name":
            name = class_name(child.text or "")
        elif tag == "bndbox":
            box = _box(child, genuine=found.genuine)
        elif tag not in RARE:
            continue
        elif tag == "difficult":
            difficult = child.text not in (None, "0") and child.text.strip() in ("1", "true", "True")
        elif tag == "polygon":
            polygon = _polygon(child)
        elif tag == "part":
            parts += 1
        elif tag == "robndbox":
            found.oriented = True
        elif (child.text or "").strip() == "1":
            return None  # LabelMe keeps what was deleted
    if polygon and isinstance(polygon, list) and isinstance(box, tuple) and box[0] != box[0]:
        left, top = min(polygon[::2]), min(polygon[1::2])
        box = (left, top, max(polygon[::2]) - left, max(polygon[1::2]) - top)
    return VocObject(name, box, polygon, difficult, parts)


def _box(node: Element, *, genuine: bool) -> Box | str:
    try:
        # The order that nearly all tools write, without a look-up by name.
        first, second, third, fourth = node
        if first.tag == "xmin" and second.tag == "ymin" and third.tag == "xmax" and fourth.tag == "ymax":
            left, top = float(first.text or ""), float(second.text or "")
            right, bottom = float(third.text or ""), float(fourth.text or "")
        else:
            raise ValueError
    except ValueError:
        corners = {corner.tag: corner.text or "" for corner in node}
        for name in CORNERS:
            if name not in corners:
                return f"<bndbox> has no <{name}>"
            if not _is_number(corners[name]):
                return f"<{name}> is {corners[name][:30]!r}, no number"
        left, top, right, bottom = (float(corners[name]) for name in CORNERS)
    shift = 1.0 if genuine else 0.0
    box = (left - shift, top - shift, right - left + shift, bottom - top + shift)
    # A number that is itself NaN must not look like an absent box.
    return box if sum(box) == sum(box) else (float("inf"),) * 4


def _polygon(node: Element) -> list[float] | str:
    points = [(point.findtext("x"), point.findtext("y")) for point in node.iter("pt")]
    if not points:
        given = {child.tag: child.text for child in node}
        count = sum(tag[:1] == "x" and tag[1:].isdigit() for tag in given)
        points = [(given.get(f"x{number}"), given.get(f"y{number}")) for number in range(1, count + 1)]
    numbers = [number for point in points for number in point]
    odd = next((number for number in numbers if not _is_number(number)), "")
    return f"its polygon holds {odd!r}, no number" if odd != "" else [float(number or "") for number in numbers]


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


def _side(text: str | None) -> int:
    """Gives a width or height in pixels, 0 where it is not known."""
    try:
        number = float(text or 0)
    except ValueError:
        return 0
    return int(number) if number == number and 0 < number < 2**31 and number == int(number) else 0
