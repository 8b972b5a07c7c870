"""Writes the report of a check as a page: the verdict, and every kind of finding with its places and its cure."""

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from steps.convert.check.grouping import Group, grouped
from steps.convert.check.inspection import Inspection
from steps.convert.show.exhibits import exhibits
from steps.convert.show.html import chip, number, page, picture, text

PLACES = 500  # of one kind that stand on the page
OPEN = 3  # kinds whose places are unfolded at once


def report_page(found: Inspection, *, title: str) -> str:
    """Gives the page of an inspected dataset."""
    report = found.report()
    counts, problems = report["counts"], found.problems
    errors, warnings = len(report["errors"]), len(report["warnings"])
    head = (
        f'<h1>{text(title)}</h1><p class="sub">{text(found.task.replace("_", " "))} · layout {text(found.layout)}</p>'
    )
    body = [head, _verdict(errors, warnings, known=found.dataset is not None)]
    if counts:
        cards = [
            (number(counts["images"]), "images"),
            (number(counts["annotations"]), "annotations"),
            (number(len(report["classes"])), "classes"),
            (number(counts["negatives"]), "images without an object"),
            (number(counts["unlabeled"]), "not labeled yet"),
        ]
        body.append('<div class="cards">')
        body += [f'<div class="card"><b>{value}</b><span>{told}</span></div>' for value, told in cards]
        body.append("</div>")
    groups = grouped(problems, places=PLACES)
    pictures = exhibits(found, groups)
    for level, word in (
        ("error", "Errors: the dataset cannot be used before these are mended"),
        ("warning", "Warnings"),
    ):
        if some := [group for group in groups if group.level == level]:
            body.append(f"<h2>{word}</h2>{groups_html(some, shown=PLACES, pictures=pictures)}")
    if report["classes"]:
        body.append(f'<h2>Classes</h2><div class="card scroll">{_classes(report)}</div>')
    body.append(f"<footer>version <code>{text(found.version_hash or 'unknown')}</code></footer>")
    return page(f"Check of {title}", "\n".join(body))


Pictures = Mapping[tuple[str, str], list[Image.Image]]


def groups_html(groups: list[Group], *, shown: int, pictures: Pictures | None = None) -> str:
    """Gives one block for each kind of finding, with what it speaks of where there are pictures of it."""
    looks = pictures or {}
    return "".join(
        _group(group, shown, looks.get((group.level, group.code), ()), unfolded=place < OPEN)
        for place, group in enumerate(groups)
    )


def _verdict(errors: int, warnings: int, *, known: bool) -> str:
    if errors:
        word = "error" if errors == 1 else "errors"
        more = f" and {number(warnings)} warning{'s' * (warnings != 1)}" if warnings else ""
        return f'<div class="verdict bad">{number(errors)} {word}{more}: the dataset cannot be used as it is.</div>'
    if warnings:
        word = "warning" if warnings == 1 else "warnings"
        return f'<div class="verdict warn">No errors; {number(warnings)} {word} worth a look.</div>'
    return f'<div class="verdict good">{"Nothing is wrong with this dataset." if known else "Nothing was found."}</div>'


def _group(group: Group, shown: int, pictures: Sequence[Image.Image], *, unfolded: bool) -> str:
    kind = "bad" if group.level == "error" else "warn"
    often = f"{number(group.count)}×" if group.count > 1 else "once"
    first = group.first[0]
    rows = "".join(
        f"<tr><td>{_place(p.file)}</td><td class='nowrap'>{_place(p.image_id, 'image')}</td>"
        f"<td class='nowrap'>{_place(p.annotation_id, 'annotation')}</td><td>{text(p.message)}</td></tr>"
        for p in group.first[:shown]
    )
    more = group.count - min(shown, len(group.first))
    if more > 0:
        rows += f'<tr><td colspan="4" class="sub">… and {number(more)} more; the JSON report lists them</td></tr>'
    table = f'<div class="scroll"><table>{rows}</table></div>'
    count = "1 place" if group.count == 1 else f"{number(group.count)} places"
    look = f'<div class="look">{"".join(map(picture, pictures))}</div>' if pictures else ""
    state = " open" if unfolded and group.count <= 12 else ""
    return (
        f'<section class="group"><header><span class="level {kind}">{group.level}</span>'
        f'<b class="mono">{text(group.code)}</b><span class="sub">{often}</span></header>'
        f'<p>{text(first.message)}</p><p class="cure">Cure: {text(first.cure)}</p>{look}'
        f"<details{state}><summary>{count}</summary>{table}</details></section>"
    )


def _place(value: object, word: str = "") -> str:
    if value is None:
        return ""
    shown = f"{word} {value}".strip()
    return f"<code{' class=short' if len(shown) < 70 else ''}>{text(shown)}</code>"


def _classes(report: dict[str, Any]) -> str:
    per_class = report["counts"].get("per_class", {})
    rows = "".join(
        f'<tr><td class="r">{chip(row["index"])}</td><td><b>{text(row["name"])}</b></td><td>id {row["id"]}</td>'
        f'<td class="r">{number(per_class.get(row["name"], 0))}</td></tr>'
        for row in report["classes"][:1000]
    )
    return (
        f'<table><tr><th class="r">index</th><th>class</th><th>id</th><th class="r">annotations</th></tr>{rows}</table>'
    )
