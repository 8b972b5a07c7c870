"""How images are divided into train, val and test: the many words for it on input, one vocabulary inside."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Method = Literal["use_dataset", "auto", "manual", "partial"]
Part = Literal["train", "val", "test"]

METHODS: Mapping[str, str] = MappingProxyType(
    {
        "use_dataset": "use_dataset",
        "use_default": "use_dataset",
        "dataset": "use_dataset",
        "none": "use_dataset",
        "auto": "auto",
        "automatic": "auto",
        "random": "auto",
        "ratio": "auto",
        "manual": "manual",
        "custom": "manual",
        "partial": "partial",
    }
)
PARTS: Mapping[str, str] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "val": "val",
        "valid": "val",
        "validation": "val",
        "test": "test",
        "testing": "test",
    }
)
RATIO_WORDS = ("train_ratio", "val_ratio", "test_ratio")


class Split(BaseModel):
    """Which images train, which validate and which test."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    method: Method = Field(
        "use_dataset",
        description="use_dataset: the dataset's own split, automatic where it has none; auto: by ratio and seed; "
        "manual: `splits` says it all; partial: `splits` says it for some, the rest is automatic",
    )
    ratio: tuple[float, ...] = Field(
        (0.8, 0.2), strict=False, min_length=2, max_length=3, description="parts for train, val and, as a third, test"
    )
    seed: int = Field(42, ge=0, le=2**32 - 1, description="the automatic split depends on image ids and this alone")
    splits: dict[str, Part | None] = Field(
        default_factory=dict, description="image id → train, val or test; null is assigned automatically"
    )
    exclude_images: tuple[str, ...] = Field((), strict=False, description="ids of images that take no part")
    stratify: bool = Field(True, description="keep the classes' shares alike in all parts")
    group_by: str | None = Field(None, description="attribute whose images stay together in one part")

    @model_validator(mode="before")
    @classmethod
    def _one_vocabulary(cls, data: Any) -> Any:
        return one_vocabulary(data) if isinstance(data, Mapping) else data

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if any(part < 0 or part >= 1 for part in self.ratio) or self.ratio[0] <= 0 or self.ratio[1] <= 0:
            raise _refused(
                "ratio",
                f"{list(self.ratio)} leaves a part empty or full",
                "give train and val more than 0, e.g. [0.8, 0.2]",
            )
        if abs(sum(self.ratio) - 1) > 1e-6:
            raise _refused(
                "ratio",
                f"{list(self.ratio)} adds up to {sum(self.ratio):.6g}",
                "make the parts add up to 1, e.g. [0.8, 0.2]",
            )
        if self.method in ("manual", "partial") and not self.splits:
            raise _refused(
                "splits", f"method {self.method} needs it", "add splits: {image id: train, …}, or say method: auto"
            )
        if self.splits and self.method in ("auto", "use_dataset"):
            raise _refused(
                "splits", f"method {self.method} does not read it", "say method: partial, or leave splits out"
            )
        return self

    def over(self, own: Split) -> Split:
        """Returns what counts where this leaves the split to the dataset and that has its `own`: both leave out."""
        if self.method != "use_dataset":
            return self
        left_out = dict.fromkeys((*own.exclude_images, *self.exclude_images))
        return own.model_copy(update={"exclude_images": tuple(left_out)})

    def config(self) -> dict[str, Any]:
        """Returns the split as the trainer contract's `split_config` carries it."""
        plain = self.model_dump(mode="json", exclude={"group_by"} if self.group_by is None else set())
        return {key: value for key, value in plain.items() if value not in ({}, [])}


def one_vocabulary(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a split in this module's own words; raises a validation error where two words contradict each other."""
    split = dict(given)
    for word, ours in (
        ("default_ratio", "ratio"),
        ("split_ratio", "ratio"),
        ("custom_splits", "splits"),
        ("random_seed", "seed"),
    ):
        if word in split:
            if ours in split:
                raise _refused(ours, f"{word} says the same", f"keep {ours} and drop {word}")
            split[ours] = split.pop(word)
    if any(word in split for word in RATIO_WORDS):
        if "ratio" in split:
            raise _refused("ratio", "train_ratio, val_ratio and test_ratio say the same", "keep ratio and drop them")
        split["ratio"] = _ratio([split.pop(word, None) for word in RATIO_WORDS])
    if isinstance(split.get("splits"), Mapping):
        split["splits"] = {_id(image): _part(part) for image, part in split["splits"].items()}
    if isinstance(split.get("exclude_images"), list | tuple):
        split["exclude_images"] = [_id(image) for image in split["exclude_images"]]
    if "stratify" in split:
        split["stratify"] = yes_or_no(split["stratify"])
    if isinstance(split.get("method"), str):
        split["method"] = METHODS.get(split["method"].strip().lower(), split["method"])
        if split["method"] == "manual" and isinstance(split.get("splits"), dict) and None in split["splits"].values():
            split["method"] = "partial"
    elif split.get("method") is None:
        split["method"] = _method(split)
    return split


def yes_or_no(value: Any) -> Any:
    """Returns a boolean for the words YAML 1.1 took for one (`yes`, `no`, `on`, `off`), anything else as it is."""
    if isinstance(value, str):
        return {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}.get(
            value.strip().lower(), value
        )
    return value


def _method(split: Mapping[str, Any]) -> str:
    if split.get("splits"):
        return "partial" if None in split["splits"].values() else "manual"
    return "auto" if {"ratio", "seed", "stratify", "group_by"} & split.keys() else "use_dataset"


def _ratio(parts: list[Any]) -> list[Any]:
    train, val, test = parts
    numbers = [part for part in parts if isinstance(part, int | float)]
    if val is None and train is not None and len(numbers) + parts.count(None) == 3:
        val = round(1 - sum(numbers), 9)
    elif train is None and len(numbers) + parts.count(None) == 3:
        train = round(1 - sum(numbers), 9)
    return [train, val] if test in (None, 0) else [train, val, test]


def _id(image: Any) -> Any:
    # The same image is 7 in one document and "7" in another: ids are compared as text.
    return str(image) if isinstance(image, int) and not isinstance(image, bool) else image


def _part(part: Any) -> Any:
    return PARTS.get(part.strip().lower(), part) if isinstance(part, str) else part


def _refused(field: str, message: str, cure: str) -> PydanticCustomError:
    return PydanticCustomError("told", "{message}", {"field": field, "message": message, "cure": cure})
