"""Puts all that is planned into a folder: several files at once, what is there already not a second time."""

import contextlib
import json
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from steps.download.plan import Item, Plan
from steps.download.source import Fact, disk_full, unwritable
from steps.trainer_sdk import TrainerError

RESERVE = 64 << 20  # bytes of the disk that are left to others
TOLD = 100  # files between two words about the progress

Progress = Callable[[int, int], None]
Facts = dict[str, Fact]


class Journal:
    """What was fetched, line by line while it happens: a killed fetch goes on where it stood."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._file: IO[str] | None = None

    def read(self) -> Facts:
        """Gives the facts of an earlier try; a line that was cut off ends them."""
        facts: Facts = {}
        with contextlib.suppress(OSError, ValueError, TypeError), open(self._path, encoding="utf-8") as file:
            for line in file:
                place, *fact = json.loads(line)
                facts[place] = Fact(*fact)
        return facts

    def write(self, rows: Iterable[tuple[str, Fact]]) -> None:
        """Adds facts; a disk too full for them makes a later try longer, nothing worse."""
        text = "".join(json.dumps([place, *_row(fact)]) + "\n" for place, fact in rows)
        with self._lock, contextlib.suppress(OSError):
            self._file = self._file or open(self._path, "a", encoding="utf-8")  # noqa: SIM115 (closed by close)
            self._file.write(text)
            self._file.flush()

    def close(self, *, remove: bool) -> None:
        """Ends it; a fetch that is complete needs none."""
        with self._lock, contextlib.suppress(OSError):
            if self._file:
                self._file.close()
            if remove:
                self._path.unlink(missing_ok=True)


def fetch(
    plan: Plan,
    *,
    folder: Path,
    journal: Path,
    progress: Progress,
    known: Mapping[str, Fact] | None = None,
    older: str | None = None,
    mode: int = 0o666,
    last: bool = True,
) -> tuple[int, Facts]:
    """Puts every planned file into `folder`; gives how many had to be moved, and what is known of each.

    `known` are the facts of files at `older`, an earlier fetch: what did not change since is linked from there.
    The journal is kept until the `last` plan of a dataset is done.
    """
    fresh = not folder.exists() or not any(folder.iterdir())
    folder.mkdir(parents=True, exist_ok=True)
    items = sorted(plan.items, key=lambda item: item.source.order(item.name))
    book = Journal(journal)
    before = book.read()
    home = str(folder)
    absent = (item for item in items if fresh or not os.path.exists(f"{home}/{item.place}"))
    need_room(folder, sum(item.size for item in absent if item.source.copies))
    run = _Run(home, before, dict(known or {}), older, mode, fresh)
    for parent in sorted({item.place.rpartition("/")[0] for item in items if "/" in item.place}):
        with _writing(f"{folder}/{parent}"):
            os.makedirs(f"{folder}/{parent}", exist_ok=True)
    done = False
    try:
        run.work(items, book, progress)
        done = True
    finally:
        book.close(remove=done and last)
    return run.moved, run.facts


class _Run:
    def __init__(self, folder: str, before: Facts, known: Facts, older: str | None, mode: int, fresh: bool) -> None:
        self.folder, self.before, self.known, self.older, self.mode = folder, before, known, older, mode
        self.moved, self.facts, self.fresh = 0, Facts(), fresh
        self._lock = threading.Lock()
        self._failure: BaseException | None = None

    def work(self, items: list[Item], book: Journal, progress: Progress) -> None:
        """Works the items off; the first failure ends it and is raised."""
        threads = max((item.source.threads for item in items), default=1)
        left, total = iter(items), len(items)
        if threads == 1:
            self._loop(left, total, book, progress)
        else:
            hands = [threading.Thread(target=self._loop, args=(left, total, book, progress)) for _ in range(threads)]
            for hand in hands:
                hand.start()
            for hand in hands:
                hand.join()
        if self._failure:
            raise self._failure
        progress(total, total)

    def _loop(self, left: Iterator[Item], total: int, book: Journal, progress: Progress) -> None:
        # Plain threads around one iterator: a pool's futures cost as much as a small object.
        news: list[tuple[str, Fact]] = []
        try:
            while True:
                with self._lock:
                    item = None if self._failure else next(left, None)
                if item is None:
                    break
                moved, fact = self._one(item)
                with self._lock:
                    self.moved += moved
                    self.facts[item.place] = fact
                    done = len(self.facts)
                if fact.sha256 and moved:
                    news.append((item.place, fact))
                    if len(news) >= 16:
                        book.write(news)
                        news = []
                if done % TOLD == 0:
                    progress(done, total)
        except BaseException as error:
            with self._lock:
                self._failure = self._failure or error
        book.write(news)

    def _one(self, item: Item) -> tuple[bool, Fact]:
        target = f"{self.folder}/{item.place}"
        fact = (None if self.fresh else self._there(item, target)) or self._linked(item, target)
        if fact:
            return False, fact
        with _writing(target):
            return True, item.source.fetch(item.name, target, mode=self.mode)

    def _there(self, item: Item, target: str) -> Fact | None:
        try:
            facts = os.lstat(target)
        except OSError:
            return None
        if item.source.copies:
            if not stat.S_ISREG(facts.st_mode) or facts.st_size != item.size:
                return None
            fact = self.before.get(item.place)
            if fact and (fact.size, fact.mtime_ns, fact.tag) == (facts.st_size, facts.st_mtime_ns, _tag(item)):
                return fact
        return item.source.stands(item.name, target)

    def _linked(self, item: Item, target: str) -> Fact | None:
        if not (self.older and linkable(item, self.known)):
            return None
        fact = self.known[item.place]
        try:
            os.link(f"{self.older}/{item.place}", target)
        except OSError:  # evicted, or of another disk: it is fetched
            return None
        return fact if os.stat(target).st_mtime_ns == fact.mtime_ns else None


def linkable(item: Item, known: Mapping[str, Fact]) -> bool:
    """Tells whether a file is what it was in an earlier fetch."""
    fact = known.get(item.place)
    return bool(fact and fact.tag and (fact.size, fact.tag) == (item.size, _tag(item)))


def _tag(item: Item) -> str:
    return item.source.tag(item.name)


def _row(fact: Fact) -> list[Any]:
    return [fact.size, fact.mtime_ns, fact.sha256, fact.tag]


@contextlib.contextmanager
def _writing(target: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if told := unwritable(error, target):
            raise told from error
        raise


def write_facts(path: Path, facts: Facts) -> None:
    """Writes what is known of fetched files: name to size, time of change in ns, SHA-256 and tag."""
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    with _writing(str(path)):
        try:
            part.write_text(
                json.dumps({"files": {place: _row(fact) for place, fact in sorted(facts.items()) if fact.sha256}})
            )
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def read_facts(path: Path) -> Facts:
    """Reads what `write_facts` wrote; nothing where it is gone or broken."""
    try:
        return {place: Fact(*row) for place, row in json.loads(path.read_bytes())["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def need_room(folder: Path, size: int) -> None:
    """Raises the error of a full disk before the first of `size` bytes is written, where they cannot fit."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if size and size + RESERVE > free:
        error = disk_full(folder)
        wanted = f"{size / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB are free"
        raise TrainerError(error.error_type, f"{error} ({wanted})", detail=error.detail)
