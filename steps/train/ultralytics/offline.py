"""Everything that keeps the framework from the network, from a user's home, from other jobs' caches and spare cores."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import shutil
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path
from typing import NoReturn

INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "neptune", "raytune", "tensorboard", "wandb")


def threads() -> int:
    """Return how many threads may compute: what OMP_NUM_THREADS says, else the cores this process may use."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said) > 0:
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare(tmp_dir: Path) -> None:
    """Set the environment and place the font; to be called before the framework is first imported."""
    home = tmp_dir / "ultralytics"
    settings = home / "Ultralytics"  # the framework adds this name itself
    settings.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        YOLO_OFFLINE="true",
        YOLO_AUTOINSTALL="false",
        YOLO_CONFIG_DIR=str(home),
        YOLO_VERBOSE="true",
        MPLCONFIGDIR=str(home / "matplotlib"),
        MPLBACKEND="Agg",
        TORCHINDUCTOR_CACHE_DIR=str(home / "inductor"),
        DO_NOT_TRACK="1",
        MLFLOW_DISABLE_TELEMETRY="true",
        HF_HUB_OFFLINE="1",
        OMP_NUM_THREADS=str(threads()),  # unset, the framework would take one thread
    )
    # Threads that spin while they wait cost a factor of 3 to 20 on cores that are shared or have a quota.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Spinning a moment before sleeping: measured on two free cores 8.5 s an epoch, without it 14 s, for ever 10 s.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    for name in ("ULTRALYTICS_API_KEY", "WANDB_API_KEY", "COMET_API_KEY"):
        os.environ.pop(name, None)
    # Without a font of this name there it asks the network for one, whatever YOLO_OFFLINE says.
    if font := font_file():
        for name in ("Arial.ttf", "Arial.Unicode.ttf"):
            if not (settings / name).exists():
                shutil.copyfile(font, settings / name)


def font_file() -> Path | None:
    """Return matplotlib's DejaVu Sans, found without importing matplotlib."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return path if path.is_file() else None


def seal(log: Callable[[str, str], None]) -> None:
    """Switch off telemetry, integrations, downloads, label caches and progress bars; send what it says to `log`."""
    import torch  # heavy, and only to be loaded after prepare()
    from ultralytics.data import dataset
    from ultralytics.utils import LOGGER, SETTINGS, TQDM, downloads

    SETTINGS.update({"sync": False, **{key: False for key in INTEGRATIONS if key in SETTINGS}})
    # The AMP check, the fonts and missing weights all end here; ConnectionError is what they know to live with.
    downloads.safe_download = _refuse
    downloads.is_url = _no_url
    # A label cache may be of another job or version, and the converted dataset may be shared.
    dataset.load_dataset_cache_file = _no_cache
    dataset.save_dataset_cache_file = _keep_nothing
    # Bars redraw a line; a log wants whole ones.
    TQDM.__init__ = partialmethod(TQDM.__init__, disable=True)
    LOGGER.handlers[:] = [_Handler(log)]
    torch.set_num_threads(threads())


class _Handler(logging.Handler):
    """Hands the framework's log on, without colours and blank lines."""

    def __init__(self, log: Callable[[str, str], None]) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on one record."""
        if text := re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", record.getMessage()).strip():
            self._log(record.levelname, text)


def _refuse(url: object, *_: object, **__: object) -> NoReturn:
    raise ConnectionError(f"{url} is not fetched: training works without a network")


def _no_url(*_: object, **__: object) -> bool:
    return False


def _no_cache(path: object) -> NoReturn:
    raise FileNotFoundError(f"{path} is not read")


def _keep_nothing(prefix: str, path: object, found: dict[str, object], version: str) -> None:
    found["version"] = version  # all that the caller still needs of the writing
