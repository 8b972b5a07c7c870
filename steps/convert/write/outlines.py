"""Gives each object's outline as one ring: polygons as they are, parts joined, masks followed along their pixels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steps.convert.dataset import Bools, Dataset, Floats, Ints
from steps.convert.write.contours import trace
from steps.convert.write.digits import ranges
from steps.convert.write.joining import joined, nearest
from steps.convert.write.proof import Account
from steps.convert.write.runs import area, pixels
from steps.convert.write.spans import Spans, fill, overlapping, paint

CORNERS = 3  # points that a ring needs
STRETCHES = 4  # of points, in two rings that are joined: to the bridge, around, on to the bridge, and home
NOTHING = np.zeros(1, dtype=np.int64)


class Outliner:
    """The outlines of a dataset's annotations; accounts for all that is joined, followed or cut."""

    def __init__(self, dataset: Dataset, account: Account) -> None:
        self.dataset, self.account = dataset, account
        count = len(dataset.annotation_ids)
        outlines = dataset.outlines
        self.points = np.ascontiguousarray(outlines.points) if outlines else np.zeros((0, 2))
        self.flat = self.points.view(np.complex128).reshape(-1)  # one number a point is gathered twice as fast
        self.first_point = outlines.first_point if outlines else NOTHING
        self.first_ring = outlines.first_ring if outlines else np.zeros(count + 1, dtype=np.int64)
        sizes = np.diff(self.first_point)
        self.closed = sizes >= CORNERS
        before = np.concatenate([NOTHING, np.cumsum(self.closed)])
        self.rings = before[self.first_ring[1:]] - before[self.first_ring[:-1]]
        # Where the first good ring of each annotation begins: all there is to know of most of them.
        good = np.append(np.flatnonzero(self.closed), 0)
        first = good[np.minimum(before[self.first_ring[:-1]], len(good) - 1)]
        self.start = self.first_point[:-1][first] if len(sizes) else np.zeros(count, dtype=np.int64)
        self.size = sizes[first] if len(sizes) else np.zeros(count, dtype=np.int64)
        reach = self.first_point[np.minimum(self.first_ring, len(self.first_point) - 1)]
        self.weight: Ints = np.maximum(np.diff(reach), 1)
        self._leave(count)

    def _leave(self, count: int) -> None:
        masked = np.zeros(count, dtype=bool)
        masked[[row for row, rle in self.dataset.rles.items() if area(rle)]] = True
        self.masked = masked & (self.rings == 0)
        bare = np.flatnonzero((self.rings == 0) & ~self.masked)
        self.account.leave("no_outline", bare, "they have neither a polygon of three points nor a mask with pixels")
        short = np.diff(self.first_ring) - self.rings
        rows = np.flatnonzero((short > 0) & self.account.wanted)
        why = "a ring of fewer than three points encloses nothing"
        self.account.drop("short_rings", "rings", int(short[rows].sum()), rows.tolist(), why)

    def shares(self, rows: Ints) -> tuple[Floats, Ints]:
        """Gives the points of all rings in shares of the image's sides, and how many each annotation has."""
        special, pairs = self._special(rows)
        counts = self.size[rows]
        counts[pairs.at] = pairs.lengths.sum(axis=1)
        counts[list(special)] = [len(ring) for ring in special.values()]
        plain = np.ones(len(rows), dtype=bool)
        plain[list(special)] = False
        # Every ring is one stretch of the points, two that are joined are four.
        stretches = np.where(plain, 1, 0)
        stretches[pairs.at] = STRETCHES
        starts, lengths = np.repeat(self.start[rows], stretches), np.repeat(counts, stretches)
        four = np.repeat(stretches == STRETCHES, stretches)
        starts[four], lengths[four] = pairs.starts.reshape(-1), pairs.lengths.reshape(-1)
        flat = self.flat.take(ranges(starts, lengths))
        if special:
            whole = np.empty(int(counts.sum()), dtype=np.complex128)
            whole[np.repeat(plain, counts)] = flat
            behind = np.cumsum(counts)
            for at, ring in special.items():
                whole[behind[at] - len(ring) : behind[at]] = ring.view(np.complex128).reshape(-1)
            flat = whole
        points = flat.view(np.float64).reshape(-1, 2)
        sizes = self.dataset.image_sizes[self.dataset.annotation_image[rows]].astype(np.float64)
        points /= np.repeat(sizes.view(np.complex128).reshape(-1), counts).view(np.float64).reshape(-1, 2)
        if len(points) and (points.min() < 0 or points.max() > 1):
            outside = ((points < 0) | (points > 1)).any(axis=1)
            of = np.repeat(np.arange(len(rows)), counts)[outside]
            why = "they reach beyond the image and are cut at its edge"
            self.account.change("clipped", rows[np.unique(of)], why)
            np.clip(points, 0, 1, out=points)
        return points, counts

    def _special(self, rows: Ints) -> tuple[dict[int, Floats], "_Pairs"]:
        """Gives what does not stand in the dataset as it is: rings by place in `rows`, and how pairs are joined."""
        found: dict[int, Floats] = {}
        masks = np.flatnonzero(self.masked[rows])
        holes = []
        for at in masks.tolist():
            mask = pixels(self.dataset.rles[int(rows[at])])
            traced = trace(mask)
            found[at] = joined(traced)
            holes += [at] if len(traced) > 1 else []
        self.account.change("masks_followed", rows[masks], "their masks are outlined along the edges of the pixels")
        why = "parts and holes of their masks are joined to one ring by bridges of no width"
        self.account.change("mask_parts_joined", rows[holes], why)
        many = np.flatnonzero(self.rings[rows] > 1)
        return found, self._joined(rows, many, found) if len(many) else _Pairs.of([])

    def _joined(self, rows: Ints, many: Ints, found: dict[int, Floats]) -> "_Pairs":
        of = rows[many]
        ring_counts = self.first_ring[of + 1] - self.first_ring[of]
        rings = ranges(self.first_ring[of], ring_counts)
        group = np.repeat(np.arange(len(many)), ring_counts)
        good = self.closed[rings]
        rings, group = rings[good], group[good]
        lengths = self.first_point[rings + 1] - self.first_point[rings]
        first = np.concatenate([NOTHING, np.cumsum(lengths)])
        points = self.points[ranges(self.first_point[rings], lengths)]
        sizes = self.dataset.image_sizes[self.dataset.annotation_image[of]]
        crossed = np.zeros(len(many), dtype=bool)
        near = _near(points, first, group, len(many))
        if near.any():
            kept = near[group]
            some = ranges(first[:-1][kept], lengths[kept])
            starts = np.concatenate([NOTHING, np.cumsum(lengths[kept])])
            own = (np.cumsum(near) - 1)[group[kept]]
            spans = fill(points[some], starts, sizes[near][own])
            crossed[near] = overlapping(spans, own, sizes[near])
            for place in np.flatnonzero(crossed).tolist():
                low, high = np.searchsorted(own, [(np.cumsum(near) - 1)[place], (np.cumsum(near))[place]]).tolist()
                found[int(many[place])] = joined(trace(_union(spans, low, high, sizes[place])))
        bounds = np.searchsorted(group, np.arange(len(many) + 1)).tolist()
        begins, ends, places = self.first_point[rings].tolist(), first.tolist(), many.tolist()
        pairs = []
        for place in np.flatnonzero(~crossed).tolist():
            low, high = bounds[place], bounds[place + 1]
            if high - low > 2:
                found[places[place]] = joined([points[ends[ring] : ends[ring + 1]] for ring in range(low, high)])
                continue
            # Two rings, as nearly all: only where they are joined is found one by one.
            a, b, n, m = begins[low], begins[low + 1], ends[low + 1] - ends[low], ends[high] - ends[low + 1]
            at, entry = nearest(self.flat[a : a + n], self.flat[b : b + m])
            pairs.append((places[place], a, b + entry, b, a + at, at + 1, m - entry, entry + 1, n - at))
        why = "their parts overlap, so what they cover together is outlined along the edges of the pixels"
        self.account.change("parts_overlap", of[crossed], why)
        why = "their parts are joined to one ring by bridges of no width"
        self.account.change("parts_joined", of[~crossed], why)
        return _Pairs.of(pairs)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Annotations of two rings: their places, and the four stretches of points that make one ring of them."""

    at: Ints
    starts: Ints  # (pairs, 4)
    lengths: Ints  # (pairs, 4)

    @classmethod
    def of(cls, rows: list[tuple[int, ...]]) -> "_Pairs":
        table = np.array(rows, dtype=np.int64).reshape(-1, 1 + 2 * STRETCHES)
        return cls(table[:, 0], table[:, 1 : 1 + STRETCHES], table[:, 1 + STRETCHES :])


def _near(points: Floats, first: Ints, group: Ints, count: int) -> Bools:
    """Marks the groups of which two rings may meet: of two, where their boxes do; of more, always."""
    low = np.minimum.reduceat(points, first[:-1], axis=0)
    high = np.maximum.reduceat(points, first[:-1], axis=0)
    sizes = np.bincount(group, minlength=count)
    head = np.searchsorted(group, np.arange(count))
    second = np.minimum(head + 1, len(group) - 1)
    meet: Bools = ((low[head] <= high[second]) & (low[second] <= high[head])).all(axis=1) | (sizes > 2)
    return meet


def _union(spans: Spans, low: int, high: int, size: Ints) -> npt.NDArray[np.bool_]:
    here = slice(*np.searchsorted(spans.ring, [low, high]).tolist())
    mask = np.zeros((int(size[1]), int(size[0])), dtype=bool)
    some = Spans(ring=spans.ring[here] - low, row=spans.row[here], left=spans.left[here], right=spans.right[here])
    paint(some, mask, np.ones(high - low, dtype=np.int64))
    return mask
