"""What an exception of the framework means in the contract's words."""

from __future__ import annotations

from steps.train.ultralytics.failure import explain


def test_images_that_vanished_are_the_datasets_fault_and_carry_no_colours() -> None:
    error = RuntimeError("\x1b[34m\x1b[1mtrain: \x1b[0mNo valid images found in labels/train.cache")
    failure = explain(error, batch=16, image_size=160, started=False)
    assert failure.error_type == "DATASET_ERROR"
    assert "no longer there" in str(failure)
    assert "\x1b" not in str(failure)
