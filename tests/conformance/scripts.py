"""Trainers of a few lines, run as custom jobs: each ends in a way of its own, without anybody's library."""

from __future__ import annotations

import textwrap

HELLO = """
import json, os, sys, time, signal, urllib.request

def say(call, **body):
    url = f"{os.environ['BACKEND_BASE_URL']}/v1/jobs/{os.environ['JOB_ID']}/{call}"
    head = {"Authorization": f"Bearer {os.environ['CALLBACK_TOKEN']}", "Content-Type": "application/json"}
    body = json.dumps({"trace_id": os.environ["TRACE_ID"], **body}).encode()
    return json.load(urllib.request.urlopen(urllib.request.Request(url, body, head), timeout=10))

def epochs(count, seconds=0.3):
    for epoch in range(1, count + 1):
        say("heartbeat", epoch=epoch, total_epochs=count, metrics={"loss": 1 / epoch})
        time.sleep(seconds)

def cause(words):
    try:
        open(os.environ.get("TERMINATION_LOG", "/dev/termination-log"), "w").write(words)
    except OSError:
        pass

def nth():
    path = os.path.join(os.environ["WORK_DIR"], "tries")
    open(path, "a").write("x")
    return os.path.getsize(path)
"""


def script(code: str) -> str:
    """Returns a whole program of what is particular to one trainer."""
    return HELLO + textwrap.dedent(code)


WHOLE = script("epochs(3)")
EXIT_1 = script("epochs(2); cause('the labels have no classes'); sys.exit(1)")
RAISES = script("epochs(2); raise RuntimeError('labels.csv has 3 columns, not 4')")
EXIT_75_ONCE = script("epochs(2) if nth() > 1 else sys.exit(75)")
EXIT_75_ALWAYS = script("cause('storage does not answer'); sys.exit(75)")
EATS_MEMORY = script("epochs(1)\nkept = []\nwhile True: kept.append(bytearray(os.urandom(1 << 20) * 8))")
FILLS_TMP = script(
    "epochs(1); out = open('/tmp/full', 'wb')\nfor _ in range(400): out.write(os.urandom(1 << 20)); out.flush()\n"
    "epochs(200, 1)"
)
SLEEPS = script("epochs(1); time.sleep(600)")
BEATS = script("epochs(2000, 0.5)")
SAYS_FAILED = script("epochs(1); say('done', status='failed', error='DIVERGED: loss is not finite'); sys.exit(1)")
EXITS_0_ON_SIGTERM = script("signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); epochs(2000, 0.5)")
DEAF = script("signal.signal(signal.SIGTERM, signal.SIG_IGN); epochs(2000, 0.5)")
ONCE_DEAF = script(
    "if nth() > 1: epochs(3); sys.exit()\nsignal.signal(signal.SIGTERM, signal.SIG_IGN); epochs(2000, 0.5)"
)
GPU_MEMORY = script("epochs(1); cause('CUDA out of memory. Tried to allocate 2.00 GiB'); sys.exit(1)")
