"""Fetches a dataset into the cache, once for all jobs that want it, and shows it in the workspace."""

import hashlib
import os
import shutil
from collections.abc import Callable

from steps.download.cache import PLANNED, Cache, Entry, write_json
from steps.download.collect import collect
from steps.download.evict import make_room
from steps.download.fetch import Progress, read_facts, write_facts
from steps.download.links import DIGESTS
from steps.download.plan import NAMED
from steps.download.source import Source, disk_full

READ_ONLY = 0o444


def entry_of(cache: Cache, source: Source) -> str:
    """Names the entry of a dataset as it lies there now: by its place, and by what a listing tells of its files."""
    main = _hash("tiphys-1", source.uri, source.fingerprint())
    prefixes = cache.noted("listings", main) or []
    return _with(main, source, prefixes)


def fetch_into(
    cache: Cache, source: Source, prefix: str, *, limit: int, progress: Progress, log: Callable[[str], None]
) -> tuple[Entry, int]:
    """Gives the dataset's entry and how many files were moved for it; raises the error of a full disk without room."""
    name = entry_of(cache, source)
    with cache.lock(name, wait=False) as free:
        found = cache.use(name) if free else None
    if found:
        return found, 0
    if not free:
        log("another job is fetching the same dataset: waiting for it")
    with cache.lock(name):
        if found := cache.use(name):
            return found, 0
        return _make(cache, name, source, prefix, limit=limit, progress=progress, log=log)


def _make(
    cache: Cache,
    name: str,
    source: Source,
    prefix: str,
    *,
    limit: int,
    progress: Progress,
    log: Callable[[str], None],
) -> tuple[Entry, int]:
    place = _hash("place", source.uri)
    last = cache.noted("places", place)
    older = cache.root / "fetched" / str(last) if last and last != name else None
    known = read_facts(older / DIGESTS) if older else {}
    part = cache.part(name)

    def room(size: int, linked: int) -> None:
        write_json(part / PLANNED, size)
        # What much is taken over from stays, unless it is just that which leaves no room.
        kept = linked and older and make_room(cache, size, limit=limit, log=log, spared=frozenset({name, older.name}))
        if not (kept or make_room(cache, size + linked, limit=limit, log=log, spared=frozenset({name}))):
            raise disk_full(f"{cache.root}, the cache of {limit / 1e9:.1f} GB")

    got = collect(
        source, prefix, folder=part / "dataset", journal=part / "journal", progress=progress, room=room,
        known=known, older=str(older / "dataset") if older else None, mode=READ_ONLY,
    )  # fmt: skip
    write_facts(part / DIGESTS, got.facts)
    facts = {
        "uri": source.uri,
        "images": len(got.images.items),
        "documents": len(got.documents.items),
        "bytes": got.size,
        "missing": len(got.images.missing),
        "missing_names": got.images.missing[:NAMED],
    }
    if got.images.prefixes:
        main = _hash("tiphys-1", source.uri, source.fingerprint())
        cache.note("listings", main, got.images.prefixes)
        whole = _with(main, source, list(got.images.prefixes))
        if whole != name:
            with cache.lock(whole):
                if found := cache.use(whole):
                    shutil.rmtree(cache.throw(part), ignore_errors=True)
                    return found, got.moved
                os.rename(part, cache.root / "fetched" / f".part-{whole}")
                entry = cache.keep(whole, facts)
            cache.note("places", place, whole)
            return entry, got.moved
    entry = cache.keep(name, facts)
    cache.note("places", place, name)
    return entry, got.moved


def give_up(cache: Cache, source: Source) -> None:
    """Takes away what was fetched of a dataset for which the cache has no room."""
    part = cache.root / "fetched" / f".part-{entry_of(cache, source)}"
    if part.is_dir():
        shutil.rmtree(cache.throw(part), ignore_errors=True)


def _with(main: str, source: Source, prefixes: list[str]) -> str:
    others = [other.fingerprint() for other in map(source.elsewhere, prefixes) if other]
    return _hash(main, *others)


def _hash(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:32]
