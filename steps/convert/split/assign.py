"""Assigns images to train, val and test: stratified by class, by ids and seed alone, groups kept together."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steps.convert.dataset import TEST, TRAIN, VAL, Ints

Ratio = tuple[float, float, float]
Strata = dict[int, Ints]  # class index (-1: none) to units in the order in which they are drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What is assigned as a whole (one image, or all images of a group), as columns."""

    keys: Sequence[str]
    sizes: Ints  # images in each
    first_id: Ints  # the smallest image id of each: decides where draws are equal
    pair_unit: Ints  # with pair_class: which class stands in which unit, each pair once, sorted by unit
    pair_class: Ints


def assign(units: Units, *, ratio: Ratio, seed: int, stratify: bool = True) -> npt.NDArray[np.int8]:
    """Gives the part of each unit (TRAIN, VAL, TEST); the order of the units does not matter."""
    placed = np.full(len(units.keys), TRAIN, dtype=np.int8)
    total = int(units.sizes.sum())
    strata = _strata(units, seed=seed, stratify=stratify)
    weights = {key: int(units.sizes[members].sum()) for key, members in strata.items()}
    for part, share in ((TEST, ratio[2]), (VAL, ratio[1])):
        wanted = max(1, round(total * share)) if share > 0 else 0
        for members in _take(strata, units.sizes, quotas=_quotas(weights, wanted), keep_one=ratio[0] > 0):
            placed[members] = part
    return placed


def _strata(units: Units, *, seed: int, stratify: bool) -> Strata:
    """Puts each unit under its rarest class; one that alone holds a class is no stratum's: it must be learnt."""
    count = len(units.keys)
    stratum = np.full(count, -1, dtype=np.int64)
    free = np.ones(count, dtype=bool)
    if len(units.pair_unit):
        holders = np.bincount(units.pair_class)
        by_rarity = np.lexsort((np.arange(len(holders)), holders))
        rank = np.empty(len(holders), dtype=np.int64)
        rank[by_rarity] = np.arange(len(holders))
        starts = np.flatnonzero(np.diff(units.pair_unit, prepend=-1))
        rarest = by_rarity[np.minimum.reduceat(rank[units.pair_class], starts)]
        owners = units.pair_unit[starts]
        free[owners] = holders[rarest] > 1
        if stratify:
            stratum[owners] = rarest
    rows = np.flatnonzero(free)
    draws = _draws([units.keys[row] for row in rows.tolist()], seed)
    rows = rows[np.lexsort((units.first_id[rows], draws, stratum[rows]))]
    keys, starts = np.unique(stratum[rows], return_index=True)
    return dict(zip(keys.tolist(), np.split(rows, starts[1:]), strict=True)) if len(rows) else {}


def _take(strata: Strata, sizes: Ints, *, quotas: dict[int, int], keep_one: bool) -> list[Ints]:
    """Removes units of about `quotas` images from each stratum and gives them; one unit of each stays behind."""
    taken: list[Ints] = []
    for key in sorted(strata):
        members, quota = strata[key], quotas[key]
        if not quota:
            continue
        if (sizes[members] == 1).all():
            chosen = np.arange(len(members)) < min(quota, len(members) - keep_one)
        else:
            chosen = _grouped(sizes[members].tolist(), quota, keep_one=keep_one)
        if chosen.any():
            taken.append(members[chosen])
        strata[key] = members[~chosen]
    if any(quotas.values()) and not taken:
        least = 2 if keep_one and len(strata) == 1 else 1
        movable = [key for key, members in strata.items() if len(members) >= least]
        if movable:
            key = max(movable, key=lambda key: (len(strata[key]), -key))
            taken.append(strata[key][:1])
            strata[key] = strata[key][1:]
    return taken


def _grouped(sizes: list[int], quota: int, *, keep_one: bool) -> npt.NDArray[np.bool_]:
    chosen = np.zeros(len(sizes), dtype=bool)
    got = left = 0
    for position, size in enumerate(sizes):
        last = keep_one and not left and position == len(sizes) - 1
        # A group goes along when that brings the part closer to its quota than leaving it would.
        if not last and got < quota and got + size - quota <= quota - got:
            chosen[position] = True
            got += size
        else:
            left += 1
    return chosen


def _quotas(sizes: dict[int, int], wanted: int) -> dict[int, int]:
    """Shares `wanted` images out over the strata by their sizes; the largest remainders get what rounding left."""
    total = sum(sizes.values())
    exact = {key: min(size, size * wanted / total) for key, size in sizes.items()}
    quotas = {key: int(number + 1e-9) for key, number in exact.items()}
    missing = min(wanted, total) - sum(quotas.values())
    for key in sorted(exact, key=lambda k: (quotas[k] - exact[k], k))[: max(0, missing)]:
        quotas[key] += 1
    return quotas


def _draws(keys: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    """Gives each key a number that depends on it and the seed alone."""
    start, blake = f"{seed}:", hashlib.blake2b
    digests = b"".join([blake((start + key).encode("utf-8", "surrogatepass"), digest_size=8).digest() for key in keys])
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)
