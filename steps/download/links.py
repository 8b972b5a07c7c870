"""Shows an entry of the cache in the workspace: by links, which cost nothing."""

import os
from pathlib import Path

from steps.download.cache import Entry

DIGESTS = "digests.json"


def link_entry(entry: Entry, work_dir: Path) -> None:
    """Makes `dataset` and `digests.json` of the workspace links into the cache."""
    for name in ("dataset", DIGESTS):
        clear(work_dir / name)
        os.symlink(entry.folder / name, work_dir / name)


def clear(path: Path) -> None:
    """Removes a file, a link or a folder of an earlier try."""
    if path.is_dir() and not path.is_symlink():
        import shutil  # needed only where a try without a cache came before

        aside = path.with_name(f".{path.name}-{os.urandom(4).hex()}")
        os.rename(path, aside)
        shutil.rmtree(aside)
    else:
        path.unlink(missing_ok=True)
