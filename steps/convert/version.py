"""Names a dataset's content: the version hash, the snapshot id, and a manifest that tells what changed."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

# Who is trained on what belongs to the snapshot: editing the split does not make other labels.
NOT_CONTENT = frozenset({"split_config"})
NAMED = 5


def canonical(value: Any) -> bytes:
    """Gives JSON data one spelling: sorted keys, no spaces, whole floats as whole numbers."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def document_content(value: Any) -> bytes:
    """Gives the canonical bytes of an annotation document, without what is no content."""
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if key not in NOT_CONTENT}
    return canonical(value)


def dataset_version_hash(documents: Mapping[str, bytes], images: Iterable[tuple[str, int, str]]) -> str:
    """Hashes documents (name to canonical bytes) and images (key, size, digest): `dsv1:` + SHA-256, length-prefixed."""
    digest = hashlib.sha256()

    def feed(*fields: bytes) -> None:
        for field in fields:
            digest.update(len(field).to_bytes(8, "big"))
            digest.update(field)

    feed(b"documents", str(len(documents)).encode())
    for name in sorted(documents):
        feed(name.encode("utf-8", "surrogatepass"), documents[name])
    rows = sorted(images)
    feed(b"images", str(len(rows)).encode())
    for key, size, content in rows:
        feed(key.encode("utf-8", "surrogatepass"), str(size).encode(), content.encode())
    return f"dsv1:{digest.hexdigest()}"


def snapshot_id(facts: Mapping[str, Any]) -> str:
    """Names a snapshot by its facts: hash, split, classes and counts."""
    return f"snap_{hashlib.sha256(canonical(facts)).hexdigest()[:12]}"


def manifest(documents: Mapping[str, bytes], images: Iterable[tuple[str, int, str]]) -> dict[str, dict[str, str]]:
    """Gives a short digest of every document and image, to be kept and compared later."""
    return {
        "documents": {name: hashlib.sha256(content).hexdigest()[:16] for name, content in sorted(documents.items())},
        "images": {key: digest[:16] for key, _, digest in sorted(images)},
    }


def what_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Tells in words how two manifests differ: documents and images added, removed, changed, a few by name."""
    told = []
    for kind in ("documents", "images"):
        old, new = before.get(kind) or {}, after.get(kind) or {}
        for word, names in (
            ("added", sorted(new.keys() - old.keys())),
            ("removed", sorted(old.keys() - new.keys())),
            ("changed", sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
        ):
            if names:
                few = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
                told.append(f"{len(names)} {kind if len(names) > 1 else kind[:-1]} {word}: {few}")
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
