"""Puts a file of the dataset under a second name without copying it where that is safe."""

import errno
import fcntl
import os
import shutil

FICLONE = 0x40049409  # Linux: share the blocks of another file until one of them is written


def link_file(source: str, target: str, *, copy: bool = False) -> str:
    """Links `source` as `target`, or copies it; gives how: hardlink, reflink, symlink or copy.

    A source that is reached through a link belongs to someone else: it gets a symlink to its end, never a hard link.
    """
    real = os.path.realpath(source)
    if copy:
        shutil.copyfile(real, target)
        return "copy"
    if real == os.path.abspath(source):
        if _hardlink(real, target):
            return "hardlink"
        if _reflink(real, target):
            return "reflink"
    try:
        os.symlink(real, target)
        return "symlink"
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}:
            raise
    shutil.copyfile(real, target)
    return "copy"


def _hardlink(source: str, target: str) -> bool:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        return False
    return True


def _reflink(source: str, target: str) -> bool:
    try:
        with open(source, "rb") as origin, open(target, "xb") as clone:
            fcntl.ioctl(clone.fileno(), FICLONE, origin.fileno())
    except OSError as error:
        if os.path.exists(target):
            os.unlink(target)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        return False
    return True
