"""Assigns images to train, val and test: stratified by class, by ids and seed alone, groups kept together."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

Ratio = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What is assigned as a whole: one image, or all images of a group."""

    key: str
    images: tuple[int, ...]
    classes: frozenset[int]


def assign(units: Sequence[Unit], *, ratio: Ratio, seed: int, stratify: bool = True) -> dict[int, str]:
    """Maps each image id to train, val or test; the order of `units` does not matter."""
    holders = Counter(class_ for unit in units for class_ in unit.classes)
    # A class that stands in one unit only must be learnt: that unit stays in train.
    free = [unit for unit in units if not any(holders[class_] == 1 for class_ in unit.classes)]
    strata: dict[int, list[Unit]] = {}
    for unit in free:
        rarest = min(unit.classes, key=lambda class_: (holders[class_], class_), default=-1) if stratify else -1
        strata.setdefault(rarest, []).append(unit)
    for members in strata.values():
        members.sort(key=lambda unit: (_draw(unit.key, seed), unit.key))
    placed = {id_: "train" for unit in units for id_ in unit.images}
    sizes = {key: sum(len(unit.images) for unit in members) for key, members in strata.items()}
    for part, share in (("test", ratio[2]), ("val", ratio[1])):
        wanted = max(1, round(len(placed) * share)) if share > 0 else 0
        for unit in _take(strata, quotas=_quotas(sizes, wanted), keep_one=ratio[0] > 0):
            placed.update(dict.fromkeys(unit.images, part))
    return placed


def _take(strata: dict[int, list[Unit]], *, quotas: dict[int, int], keep_one: bool) -> list[Unit]:
    """Removes units of about `quotas` images from each stratum and gives them; one unit of each stays behind."""
    taken: list[Unit] = []
    for key in sorted(strata):
        got = 0
        rest: list[Unit] = []
        for position, unit in enumerate(strata[key], 1):
            last = keep_one and not rest and position == len(strata[key])
            size = len(unit.images)
            # A group goes along when that brings the part closer to its quota than leaving it would.
            if not last and got < quotas[key] and got + size - quotas[key] <= quotas[key] - got:
                taken.append(unit)
                got += size
            else:
                rest.append(unit)
        strata[key] = rest
    if any(quotas.values()) and not taken:
        least = 2 if keep_one and len(strata) == 1 else 1
        movable = [key for key, members in strata.items() if len(members) >= least]
        if movable:
            taken.append(strata[max(movable, key=lambda key: (len(strata[key]), -key))].pop(0))
    return taken


def _quotas(sizes: dict[int, int], wanted: int) -> dict[int, int]:
    """Shares `wanted` images out over the strata by their sizes; the largest remainders get what rounding left."""
    total = sum(sizes.values())
    exact = {key: min(size, size * wanted / total) for key, size in sizes.items()}
    quotas = {key: int(number + 1e-9) for key, number in exact.items()}
    missing = min(wanted, total) - sum(quotas.values())
    for key in sorted(exact, key=lambda k: (quotas[k] - exact[k], k))[: max(0, missing)]:
        quotas[key] += 1
    return quotas


def _draw(key: str, seed: int) -> int:
    digest = hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
