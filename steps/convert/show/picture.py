"""Opens an image as it was annotated: turned by its EXIF orientation where the labels mean it so, scaled, in RGB."""

import warnings

import numpy as np
from PIL import Image, ImageOps

from steps.convert.check.files import TURNED, ImageFile

BACK = (236, 239, 243)  # behind what is transparent


def open_picture(file: ImageFile, declared: tuple[int, int], room: tuple[int, int]) -> tuple[Image.Image, float] | None:
    """Gives the picture within `room` pixels and how much it was scaled; None where it cannot be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(str(file.path)) as image:
                wide = max(image.width / room[0], image.height / room[1])
                if wide > 2:
                    image.draft("RGB", (int(image.width / wide * 2), int(image.height / wide * 2)))
                image.load()
                picture = _rgb(image)
                as_stored = declared == (file.width, file.height) and file.orientation in TURNED
                if file.orientation != 1 and not as_stored and file.format != "TIFF":
                    picture = ImageOps.exif_transpose(_with_tag(picture, file.orientation))
    except Exception:  # decoders fall over broken files in every way there is; the check has told of them
        return None
    full = (file.width, file.height) if as_stored else file.shown
    scale = min(room[0] / full[0], room[1] / full[1])
    size = (max(1, round(full[0] * scale)), max(1, round(full[1] * scale)))
    how = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    return picture.resize(size, how), scale


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image).astype(np.float64)
        low, high = float(values.min()), float(values.max())
        return Image.fromarray(((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        clear = image.convert("RGBA")
        ground = Image.new("RGBA", clear.size, (*BACK, 255))
        return Image.alpha_composite(ground, clear).convert("RGB")
    return image.convert("RGB")


def _with_tag(picture: Image.Image, orientation: int) -> Image.Image:
    exif = Image.Exif()
    exif[0x0112] = orientation
    tagged = picture.copy()
    tagged.info.clear()
    tagged.info["exif"] = exif.tobytes()
    return tagged
