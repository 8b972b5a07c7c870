"""Names a dataset's content: the version hash, the snapshot id, and a manifest that tells what changed."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

# Who is trained on what belongs to the snapshot: editing the split does not make other labels.
NOT_CONTENT = frozenset({"split_config"})
# The platform's own layouts (those with a format_version) tell of every saving, and count what stands in them.
BOOKKEEPING = frozenset({"created_at", "last_modified_at", "version", "content_hash", "statistics", "splits"})
NAMED = 5


class Canonical(Protocol):
    """A long document's canonical bytes, made piece by piece."""

    @property
    def length(self) -> int:
        """How many bytes there are in all."""

    @property
    def digest(self) -> str:
        """Their SHA-256 in hex."""

    def pieces(self) -> Iterator[bytes]:
        """Gives the bytes in order, in pieces."""


Content = bytes | Canonical  # of one annotation file: canonical JSON, or what text_content() gives


def canonical(value: Any) -> bytes:
    """Gives JSON data one spelling: sorted keys, no spaces, whole floats as whole numbers."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def document_content(value: Any) -> bytes:
    """Gives the canonical bytes of an annotation document, without what is no content."""
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if is_content(key, value)}
    return canonical(value)


def is_content(key: str, document: Mapping[str, Any]) -> bool:
    """Whether a field at the top of an annotation document says anything about images and labels."""
    return key not in NOT_CONTENT and not (key in BOOKKEEPING and "format_version" in document)


def text_content(raw: bytes) -> bytes:
    """Gives the content of an annotation file that is text (YOLO, XML), whatever its line ends: a short digest."""
    text = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return b"sha256:" + hashlib.sha256(text.rstrip(b"\n")).hexdigest().encode()


def dataset_version_hash(documents: Mapping[str, Content], images: Iterable[tuple[str, int, str]]) -> str:
    """Hashes documents (name to canonical bytes) and images (key, size, digest): `dsv1:` + SHA-256, length-prefixed."""
    digest = hashlib.sha256()

    def feed(*fields: Content) -> None:
        for field in fields:
            whole = isinstance(field, bytes)
            digest.update((len(field) if whole else field.length).to_bytes(8, "big"))
            for piece in (field,) if whole else field.pieces():
                digest.update(piece)

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


def manifest(documents: Mapping[str, Content], images: Iterable[tuple[str, int, str]]) -> dict[str, dict[str, str]]:
    """Gives a short digest of every document and image, to be kept and compared later."""
    return {
        "documents": {name: _digest(documents[name])[:16] for name in sorted(documents)},
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


def _digest(content: Content) -> str:
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else content.digest


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
