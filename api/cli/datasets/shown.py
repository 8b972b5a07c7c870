"""How a dataset's report and numbers look to a person: short, aligned, grouped by kind."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from api.cli.output import console, size
from api.datasets.findings import grouped, place

PLACES = 3
"""Places shown of each kind of finding."""
FIXED = 2
"""Places shown of each kind of repair."""
INDENT = 9
"""Columns before the words of a finding."""
TITLES = {"error": ("✘", "red"), "warning": ("!", "yellow")}
PARTS = ("train", "val", "test")


def say_report(name: str, report: Mapping[str, Any], *, everything: bool, page: str | None, more: str) -> None:
    """Prints what a check found; `more` is the command that lists all of it."""
    out = console()
    say_head(name, report)
    groups = grouped(report)
    for level in ("error", "warning"):
        of_level = [group for group in groups if group["level"] == level]
        if of_level:
            mark, style = TITLES[level]
            total = sum(group["count"] for group in of_level)
            kinds = f" of {len(of_level)} kinds" if 1 < len(of_level) < total else ""
            out.print(f"[{style}]{mark} {many(total, level)}{kinds}[/]")
            findings: Sequence[Mapping[str, Any]] = report.get(f"{level}s") or []
            for group in of_level:
                _say_group(group, findings if everything else None)
    count = int(report.get("error_count", len(report.get("errors") or [])))
    if not count:
        out.print("[green]✔ fit to train on[/]")
    hidden = any(group["count"] > len(group["first"][:PLACES]) for group in groups)
    if hidden and not everything:
        out.print(f"  all of it  {more}", markup=False, soft_wrap=True)
    if page:
        out.print(f"  as a page  {page}", markup=False, soft_wrap=True)


def say_head(name: str, facts: Mapping[str, Any]) -> None:
    """Prints what a dataset is in two lines: layout, task, counts, version."""
    out = console()
    counts = facts.get("counts") or {}
    words = [str(facts.get("layout") or "no known layout")]
    if facts.get("task") and facts["task"] != "unknown":
        words.append(str(facts["task"]).replace("_", " "))
    if counts:
        words.append(many(len(facts.get("classes") or []), "class", "classes"))
        words += [many(counts.get("images", 0), "image"), many(counts.get("annotations", 0), "annotation")]
        words += [f"{counts[key]:,} {key.removesuffix('s')}" for key in ("negatives", "unlabeled") if counts.get(key)]
    out.print(f"[bold]{_escaped(name)}[/]  {_escaped(' · '.join(words))}")
    if facts.get("dataset_version_hash"):
        out.print(f"  version {short(facts['dataset_version_hash'])}", style="dim", markup=False)


def say_fixes(result: Mapping[str, Any]) -> None:
    """Prints what a repair did, and what it could not mend."""
    out = console()
    fixes: Sequence[Mapping[str, Any]] = result.get("fixes") or []
    left: Sequence[Mapping[str, Any]] = [p for p in result.get("left") or [] if p.get("level") != "warning"]
    if not fixes:
        out.print(f"nothing {'can' if left else 'had to'} be repaired: no copy was written")
    else:
        out.print(f"[green]✔ repaired {sum(int(fix['count']) for fix in fixes):,} in a copy[/]")
        for fix in fixes:
            say_line(f"{fix['count']:,}×", str(fix["what"]))
            examples = list(filter(None, map(_example, (fix.get("examples") or [])[:FIXED])))
            for example in examples:
                say_line("", example, style="dim")
            if examples and int(fix["count"]) > len(examples):
                say_line("", f"… and {int(fix['count']) - len(examples):,} more", style="dim")
    if left:
        out.print(f"[red]✘ {many(len(left), 'error')} left[/]")
        for group in grouped({"errors": left}):
            _say_group(group, None)


def say_classes(classes: Iterable[Mapping[str, Any]]) -> None:
    """Prints the classes with their annotations, in all and in each part."""
    from api.cli.output import table

    rows = []
    for item in classes:
        parts = item.get("parts") or {part: item.get(part) for part in PARTS}
        cells = [f"{parts[part]:,}" if parts.get(part) is not None else None for part in PARTS]
        annotations = item.get("annotations")
        if annotations is None:
            annotations = sum(parts[part] or 0 for part in PARTS if parts.get(part) is not None)
        rows.append((item.get("index"), item.get("name"), f"{annotations:,}", *cells))
    if rows:
        numbers = ("INDEX", "ANNOTATIONS", "TRAIN", "VAL", "TEST")
        table(("INDEX", "CLASS", "ANNOTATIONS", "TRAIN", "VAL", "TEST"), rows, right=numbers)


def say_numbers(found: Mapping[str, Any]) -> None:
    """Prints a dataset's sizes, formats and split."""
    out = console()
    facts: dict[str, str] = {}
    sizes = found.get("image_sizes") or {}
    if sizes:
        w, h = sizes["median"]
        (a, b), (c, d) = sizes["smallest"], sizes["largest"]
        facts["images"] = f"{w}×{h}" if (a, b) == (c, d) else f"{a}×{b} to {c}×{d}, median {w}×{h}"
    if found.get("formats"):
        formats = ", ".join(f"{count:,} {name}" for name, count in found["formats"].items())
        facts["files"] = f"{formats}, {size(found.get('bytes'))}"
    pixels = (found.get("box_sizes") or {}).get("pixels") or {}
    if pixels:
        facts["boxes"] = ", ".join(f"{count:,} {name}" for name, count in pixels.items() if count)
    if found.get("split"):
        facts["split"] = split_words(found["split"])
    for name, value in facts.items():
        out.print(f"  {name:8} {value}", markup=False)


def split_words(split: Mapping[str, Any]) -> str:
    """Returns how many images train, validate and test, and who said so."""
    counts = split.get("counts") or {}
    words = ", ".join(f"{counts[part]:,} {part}" for part in PARTS if counts.get(part) is not None)
    if counts.get("left_out"):
        words += f", {counts['left_out']:,} left out"
    who = {"job": "as asked for", "dataset": "the dataset's own", "auto": "automatic", "automatic": "automatic"}
    source = who.get(str(split.get("source")), str(split.get("source")))
    seed = f", seed {split['seed']}" if split.get("seed") is not None and source != who["dataset"] else ""
    return f"{words}  ({source}{seed})"


def short(version: str) -> str:
    """Returns the beginning of a version's hash: enough to tell two apart."""
    scheme, _, digest = version.rpartition(":")
    return f"{scheme}:{digest[:12]}" if scheme else digest[:12]


def many(count: int, one: str, more: str | None = None) -> str:
    """Returns a count with its noun."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def _say_group(group: Mapping[str, Any], findings: Sequence[Mapping[str, Any]] | None) -> None:
    first = list(group["first"])
    shown = first[:PLACES] if findings is None else [f for f in findings if f.get("code") == group["code"]]
    _, style = TITLES[group["level"]]
    say_line(f"{group['count']:>5,}×", str(group["code"]).replace("_", " "), style=style)
    for finding in shown:
        where = place(finding)
        say_line("", f"{where}: {finding['message']}" if where else str(finding["message"]))
    if group["count"] > len(shown):
        say_line("", f"… and {group['count'] - len(shown):,} more", style="dim")
    if group["cure"]:
        say_line("cure", str(group["cure"]), style="dim")


def say_line(label: str, words: str, *, style: str = "") -> None:
    """Prints a label and words beside it; on a terminal what does not fit goes on below the words."""
    from rich.text import Text

    out = console()
    room = max(20, out.width - INDENT - 1)
    lines = textwrap.wrap(words, room, break_on_hyphens=False) if out.is_terminal else [words]
    for number, line in enumerate(lines or [""]):
        head = label.rjust(INDENT - 1) if number == 0 else " " * (INDENT - 1)
        out.print(Text.assemble((head, "dim" if style == "dim" else "bold"), " ", (line, style)), soft_wrap=True)


def _example(example: Any) -> str:
    if isinstance(example, Mapping):
        ids = {f"{name}_id": example[name] for name in ("image", "annotation") if name in example}
        where = place({**example, **ids})
        said = example.get("what") or example.get("message") or example.get("did")
        return f"{where}: {said}" if where and said else str(said or where)
    return str(example)


def _escaped(words: str) -> str:
    from rich.markup import escape

    return escape(words)
