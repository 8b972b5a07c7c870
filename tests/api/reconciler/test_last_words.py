"""The line of a log's end that tells most."""

from __future__ import annotations

import pytest

from api.reconciler.last_words import LONGEST, blotted, words_in

TRACEBACK = """Traceback (most recent call last):
  File "train.py", line 3, in <module>
    main()
    ~~~~^^
RuntimeError: labels.csv has 3 columns
"""

LAUNCHER = """Traceback (most recent call last):
  File "torchrun", line 8, in <module>
    sys.exit(main())
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
train.py FAILED
"""
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "train.py", line 5, in <module>
  |     raise ExceptionGroup("several", [ValueError("no labels")])
  | ExceptionGroup: several (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "train.py", line 3, in <module>
    | ValueError: no labels
    +------------------------------------
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("\n \n", ""),
        ("epoch 1\nsh: 1: trane: not found\n\n", "sh: 1: trane: not found"),
        (TRACEBACK, "RuntimeError: labels.csv has 3 columns"),
        (TRACEBACK + "wandb: run finished\n", "RuntimeError: labels.csv has 3 columns"),
        (
            TRACEBACK.replace("RuntimeError", "KeyError")
            + "\nDuring handling of the above exception, another exception occurred:\n\n"
            + TRACEBACK,
            "RuntimeError: labels.csv has 3 columns",
        ),
        ("Segmentation fault\n[TRACE:5f1c] [INFO] [EPOCH:2] loss=0.5\n", "Segmentation fault"),
        ("[TRACE:5f1c] [INFO] [EPOCH:2] loss=0.5\n", ""),
        ("\x1b[31mout of shelves\x1b[0m\r\n", "out of shelves"),
        (" 10%|#   |\r 20%|##  |\rdied at 20%", "died at 20%"),
        ("Traceback (most recent call last):\n  File", "File"),
        (TRACEBACK + "retrying with half the batch\n" * 9 + "error: no disk\n", "error: no disk"),
        (TRACEBACK + "[TRACE:5f1c] [INFO] [EPOCH:2] loss=0.5\nerror: no disk\n", "error: no disk"),
        (
            "".join(f"[rank1]: {line}\n" for line in TRACEBACK.splitlines()) + LAUNCHER,
            "RuntimeError: labels.csv has 3 columns",
        ),
        (GROUP, "ValueError: no labels"),
        ("out of luck\n=====\n-----\n", "out of luck"),
        ("a\x00b\x07", "ab"),
        ("x" * 1000, "x" * (LONGEST - 1) + "…"),
    ],
)
def test_the_telling_line_is_found(text: str, words: str) -> None:
    assert words_in(text) == words


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cannot connect to postgresql://train:hunter2@db/x", "cannot connect to postgresql://***@db/x"),
        ("GET https://s3/x?X-Amz-Signature=abc&y=1 failed", "GET https://s3/x?X-Amz-Signature=***&y=1 failed"),
        ("Authorization: Bearer eyJhbGciOiJI.eyJzdWIiOiJ4.abc-_", "Authorization: Bearer ***"),
        ("key minio-secret is refused", "key *** is refused"),
        ("KeyError: 'token'", "KeyError: 'token'"),
    ],
)
def test_no_secret_is_quoted(text: str, told: str) -> None:
    assert blotted(text, ["minio-secret", ""]) == told
