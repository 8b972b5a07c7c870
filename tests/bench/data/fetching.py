"""Prints what fetching 10,000 small objects costs, beside boto3 and bare obstore, and what a second fetch still moves.

Run it as `python -m tests.bench.data.fetching [--quick]`; the objects come from a real S3 server on this machine.
"""

from __future__ import annotations

import argparse
import io
import json
import random
from pathlib import Path

from PIL import Image

from tests.bench.data.counting_proxy import counting
from tests.bench.data.measuring import Ran, measure, scratch, steps_python, table, verdict
from tests.steps.s3 import serving

PREFIX = "datasets/many/"
FULL = 10_000  # objects
NAMES = ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY")
Server = dict[str, str]  # the variables that lead to it
EACH, SECOND = 0.6, 0.01  # goals: CPU ms an object, share of the first fetch
SMALLEST, LARGEST = 20_000, 100_000  # bytes of an object
LIST_AND_GET = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
endpoint, key, secret, prefix, out = sys.argv[1:]
os.mkdir(out)
{client}
with ThreadPoolExecutor(16) as pool:
    assert sum(pool.map(get, names())) == {objects}
"""
BOTO3 = """
import boto3
from botocore.config import Config
config = Config(signature_version="s3v4", max_pool_connections=16, s3={"addressing_style": "path"},
                response_checksum_validation="when_required", request_checksum_calculation="when_required")
s3 = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret,
                  region_name="us-east-1", config=config)
def names():
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix=prefix):
        yield from (found["Key"] for found in page["Contents"])
def get(name):
    body = s3.get_object(Bucket="bucket", Key=name)["Body"].read()
    with open(os.path.join(out, name.replace("/", "_")), "xb") as file:
        return file.write(body) > 0
"""
OBSTORE = """
from obstore.store import S3Store
s3 = S3Store("bucket", endpoint=endpoint, access_key_id=key, secret_access_key=secret, region="us-east-1",
             client_options={"allow_http": True}, virtual_hosted_style_request=False)
def names():
    for page in s3.list(prefix):
        yield from (found["path"] for found in page)
def get(name):
    body = s3.get(name).bytes()
    with open(os.path.join(out, name.replace("/", "_")), "xb") as file:
        return file.write(body) > 0
"""


def make_objects(folder: Path, count: int) -> int:
    """Makes a dataset of small files beside its document; gives their bytes."""
    rng, total = random.Random(5), 0
    noise, tiny = rng.randbytes(LARGEST), io.BytesIO()
    Image.new("RGB", (64, 64), "gray").save(tiny, "JPEG")
    images = folder / "bucket" / PREFIX / "images"
    images.mkdir(parents=True)
    names = [f"{n:06d}.jpg" for n in range(1, count + 1)]
    for name in names:
        content = padded(tiny.getvalue(), name.encode() + noise[: rng.randint(SMALLEST, LARGEST)])
        total += (images / name).write_bytes(content)
    value = {
        "info": {"version": "1.0.0"},
        "categories": [{"id": 1, "name": "bolt"}],
        "images": [{"id": n, "file_name": name, "width": 64, "height": 64} for n, name in enumerate(names, 1)],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 2, 30, 40]} for n in range(1, count)],
    }
    (images.parent / "annotations_detection.json").write_text(json.dumps(value))
    return total


def padded(jpeg: bytes, noise: bytes) -> bytes:
    """Gives a real image of any size in bytes: the noise stands in its comments."""
    comments = b""
    for start in range(0, len(noise), 60_000):
        piece = noise[start : start + 60_000]
        comments += b"\xff\xfe" + (len(piece) + 2).to_bytes(2, "big") + piece
    return jpeg[:2] + comments + jpeg[2:]


def ours(server: Server, work_dir: Path, cache: Path | None, *, step: str = "download", version: str = "") -> Ran:
    """Runs a step as a pipeline does, with the cache or without; `version` is what a snapshot's record names."""
    work_dir.mkdir(exist_ok=True)
    env = server | {
        "DATASET_S3_URI": f"s3://bucket/{PREFIX}",
        "WORK_DIR": str(work_dir),
        "TMP_DIR": str(work_dir),
    }
    env |= {"CACHE_DIR": str(cache)} if cache else {}
    env |= {"DATASET_VERSION_HASH": version} if version else {}
    return measure([steps_python(), "-m", f"steps.{step}"], env=env)


def peer(code: str, server: Server, out: Path, objects: int) -> Ran:
    """Runs a client of sixteen threads that lists, gets and writes, and checks nothing."""
    text = LIST_AND_GET.format(client=code, objects=objects)
    return measure([steps_python(), "-c", text, *(server[f"MINIO_{name}"] for name in NAMES), PREFIX, out])


def first_fetch(server: Server, folder: Path, count: int, size: int) -> None:
    """Prints three clients in turns."""
    rows: list[list[object]] = []
    best: dict[str, Ran] = {}
    for turn in (1, 2):
        for who in ("ours", "boto3 ×16", "obstore ×16, bare"):
            out = folder / f"{who.split()[0]}-{turn}"
            if who == "ours":
                ran = ours(server, out, None)
            else:
                ran = peer(BOTO3 if "boto3" in who else OBSTORE, server, out, count + 1)
            rows.append([who, ran.wall, count / ran.wall, ran.cpu / count * 1000, ran.memory])
            if who not in best or ran.cpu < best[who].cpu:
                best[who] = ran
    head = ["", "wall s", "objects/s", "CPU ms each", "peak MB"]
    table(f"Fetch {count:,} objects of 20-100 KB ({size / 1e6:,.0f} MB) over S3, sixteen at once", head, rows)
    each = best["ours"].cpu / count * 1000
    ratio = best["boto3 ×16"].cpu / best["ours"].cpu
    print(f"goal ≤ {EACH} CPU-ms each: {each:.2f}, {verdict(each, EACH)}; boto3 costs {ratio:.1f}× CPU")


def second_fetch(server: Server, folder: Path, count: int, size: int) -> None:
    """Prints time and bytes of later fetches into fresh workspaces, by a cache that knows the dataset."""
    cache = folder / "cache"
    once = ours(server, folder / "cached-0", cache)
    ours(server, folder / "cached-0", cache, step="convert")  # it is the one to name the version
    version = json.loads((folder / "cached-0" / "snapshot.json").read_text())["dataset_version_hash"]
    kinds = {"again, of the same snapshot": version, "again, of a prefix: listed anew": ""}
    start = min((measure([steps_python(), "-c", "pass"]) for _ in range(5)), key=lambda ran: ran.wall)
    later = {
        kind: min((ours(server, folder / f"{kind}-{n}", cache, version=known) for n in range(4)), key=cost)
        for kind, known in kinds.items()
    }
    with counting(server["MINIO_ENDPOINT"]) as proxy:
        through = server | {"MINIO_ENDPOINT": proxy.endpoint}
        ours(through, folder / "counted", folder / "counted-cache")
        first = before = proxy.moved()
        ours(through, folder / "counted", folder / "counted-cache", step="convert")
        moved = {}
        for kind, known in kinds.items():
            before = proxy.moved()
            ours(through, folder / f"counted {kind}", folder / "counted-cache", version=known)
            moved[kind] = proxy.moved() - before
    rows: list[list[object]] = [["first fetch", once.wall, once.cpu, first / 1e6]]
    rows += [[kind, ran.wall, ran.cpu, moved[kind] / 1e6] for kind, ran in later.items()]
    rows.append(["of which the interpreter's start", start.wall, start.cpu, ""])
    table(f"The same {count:,} objects into more workspaces, with the cache", ["", "wall s", "CPU s", "MB"], rows)
    print(f"the objects alone are {size / 1e6:,.0f} MB")
    if count < FULL:
        return  # what does not grow with the objects weighs too much here
    same = next(iter(kinds))
    shares = {
        "time": later[same].wall / once.wall,
        "CPU time": later[same].cpu / once.cpu,
        "bytes": moved[same] / first,
    }
    for what, share in shares.items():
        print(f"goal ≤ 1 % of the {what}: {share:.2%}, {verdict(share, SECOND)}")
    print("listed anew: what it waits for is the server, which lists its objects")


def cost(ran: Ran) -> float:
    return ran.wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 objects instead of 10,000")
    count = FULL // 10 if parser.parse_args().quick else FULL
    with scratch() as folder:
        size = make_objects(folder / "s3", count)
        with serving(folder / "s3") as server:
            first_fetch(server, folder, count, size)
            second_fetch(server, folder, count, size)


if __name__ == "__main__":
    main()
