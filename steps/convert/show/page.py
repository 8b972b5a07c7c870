"""Writes what is shown of a dataset as a page: numbers, classes with cut-outs, sizes, samples."""

from typing import Any

from steps.convert.check.grouping import grouped
from steps.convert.problems import Problem
from steps.convert.show.colours import colour, hexed
from steps.convert.show.html import amount, chip, number, page, picture, text
from steps.convert.show.report import groups_html
from steps.convert.show.samples import Sample, Samples
from steps.convert.split.request import PARTS

LISTED = 300  # classes that are listed
SIDES = {"tiny": "sides under 8", "small": "8 to 32", "medium": "32 to 96", "large": "from 96"}  # as they are counted


def dataset_page(facts: dict[str, Any], made: Samples, problems: list[Problem], *, title: str) -> str:
    """Gives the page of a dataset."""
    counts = facts["counts"]
    split = (facts["split"] or {}).get("counts", {})
    sizes = " / ".join(number(split.get(part, 0)) for part in PARTS if split.get(part) or part != "test")
    formats = ", ".join(f"{number(n)} {kind}" for kind, n in facts["formats"].items())
    body = [
        f"<h1>{text(title)}</h1>",
        f'<p class="sub">{text(facts["task"].replace("_", " "))} · layout {text(facts["layout"])}</p>',
        '<div class="cards">',
        _card(number(counts.get("images", 0)), "images"),
        _card(number(counts.get("annotations", 0)), "annotations"),
        _card(number(len(facts["classes"])), "classes"),
        _card(sizes, _split(facts)),
        _card(number(counts.get("negatives", 0)), "images without an object"),
        _card(amount(facts["bytes"]), formats or "no images"),
        "</div>",
    ]
    body.append(f'<h2>Classes</h2><div class="card scroll">{_classes(facts["classes"], made)}</div>')
    body.append(_sizes(facts))
    if made.samples:
        figures = "".join(_figure(sample) for sample in made.samples)
        body.append(f'<h2>Samples, with their labels drawn</h2><div class="grid">{figures}</div>')
    if problems:
        body.append(f"<h2>What was found</h2>{groups_html(grouped(problems), shown=20)}")
    body.append(f"<footer>version <code>{text(facts['dataset_version_hash'] or 'unknown')}</code></footer>")
    return page(title, "\n".join(body))


def _card(value: str, told: str) -> str:
    return f'<div class="card"><b>{text(value)}</b><span>{text(told)}</span></div>'


def _split(facts: dict[str, Any]) -> str:
    split = facts["split"]
    if not split:
        return "train / val"
    words = "train / val" + (" / test" if split["counts"]["test"] else "")
    return f"{words}, by the {split['source']}" if split["source"] != "automatic" else f"{words}, automatic"


def _classes(classes: list[dict[str, Any]], made: Samples) -> str:
    most = max((row["annotations"] for row in classes), default=0) or 1
    strips = any(made.strips)
    rows = []
    for place, row in enumerate(classes[:LISTED]):
        parts = "".join(
            f'<i class="{part}" style="width:{100 * row["parts"][part] / most:.2f}%"></i>' for part in PARTS
        )
        told = " · ".join(f"{number(row['parts'][part])} {part}" for part in PARTS if row["parts"][part])
        cuts = made.strips[place][:6] if strips and place < len(made.strips) else []
        strip = "".join(picture(cut, told=row["name"]) for cut in cuts)
        rows.append(
            f"<tr><td>{chip(row['index'])}</td><td><b>{text(row['name'])}</b>"
            f'<br><span class="sub nowrap">id {row["id"]}</span></td>'
            f'<td class="r">{number(row["annotations"])}</td><td class="r">{number(row["images"])}</td>'
            f'<td title="{told}"><div class="bar">{parts}</div><span class="sub nowrap">{told or "none"}</span></td>'
            + (f'<td><div class="strip">{strip}</div></td>' if strips else "")
            + "</tr>"
        )
    more = len(classes) - LISTED
    rest = f'<tr><td colspan="6" class="sub">… and {number(more)} more classes</td></tr>' if more > 0 else ""
    head = '<th>index</th><th>class</th><th class="r">annotations</th><th class="r">in images</th><th>by part</th>'
    return f"<table><tr>{head}{'<th>looks like</th>' if strips else ''}</tr>{''.join(rows)}{rest}</table>"


def _sizes(facts: dict[str, Any]) -> str:
    cards = []
    if sizes := facts["image_sizes"]:
        rows = "".join(
            f'<tr><td>{row["width"]} × {row["height"]}</td><td class="r">{number(row["images"])}</td></tr>'
            for row in sizes["common"][:8]
        )
        more = sizes["different"] - min(8, len(sizes["common"]))
        rest = f'<tr><td class="sub" colspan="2">and {number(more)} other sizes</td></tr>' if more > 0 else ""
        table = f'<table><tr><th>pixels</th><th class="r">images</th></tr>{rows}{rest}</table>'
        cards.append(f'<div><h2>Image sizes</h2><div class="card scroll">{table}</div></div>')
    if boxes := facts["box_sizes"]:
        told = ", ".join(
            f"{number(count)} {word} ({SIDES[word]} px)" for word, count in boxes["pixels"].items() if count
        )
        half = f"{boxes['share']['p50']:.0%}"
        under = f'<p class="sub">{told}; half of all are under {half}</p>'
        chart = _histogram(boxes["histogram"])
        cards.append(
            f'<div><h2>Object sizes, as share of the image\'s side</h2><div class="card">{chart}{under}</div></div>'
        )
    return f'<div class="two">{"".join(cards)}</div>' if cards else ""


def _histogram(columns: list[int]) -> str:
    most, wide, high = max(columns) or 1, 24, 120
    bars = "".join(
        f'<rect x="{n * wide + 2}" y="{high - high * count / most:.1f}" width="{wide - 4}" '
        f'height="{high * count / most:.1f}" rx="3" fill="var(--train)"><title>{number(count)}</title></rect>'
        for n, count in enumerate(columns)
    )
    marks = "".join(
        f'<text x="{share * wide * len(columns) / 100:.0f}" y="{high + 18}" font-size="12" fill="var(--soft)" '
        f'text-anchor="{"start" if share == 0 else "end" if share == 100 else "middle"}">{share} %</text>'
        for share in (0, 25, 50, 75, 100)
    )
    size = f"0 0 {wide * len(columns)} {high + 24}"
    return f'<svg viewBox="{size}" width="100%" role="img" aria-label="histogram of object sizes">{bars}{marks}</svg>'


def _figure(sample: Sample) -> str:
    part = f'<span class="pill {sample.part}">{sample.part}</span>' if sample.part else ""
    labels = "".join(
        f'<i class="dot" style="background:{hexed(colour(index))}"></i>{count}'
        for index, count in sorted(sample.labels.items())[:5]
    )
    labels = labels or '<span class="sub">no labels</span>'
    name = f'<span class="name" title="{text(sample.name)}">{text(sample.name)}</span>'
    caption = f'{part}{name}<span class="labels">{labels}</span>'
    return f"<figure><div>{picture(sample.picture, told=sample.name)}</div><figcaption>{caption}</figcaption></figure>"
