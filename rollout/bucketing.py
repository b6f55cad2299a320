"""Where a unit stands: algorithm `r1`, which never changes.

    digest = SHA-256("{salt}:{unit}")
    in when the first 8 bytes of digest, as a big-endian number, are less than floor(percentage · 2^64 / 100)

There is no bucket count, so finer steps never deal the units again. Changing one byte of this would deal
every unit of every user again: tests/vectors/r1.csv is only ever added to, and another way of bucketing
gets another name in `ALGORITHMS`. Explained, with SQL, shell, JavaScript and Go, in
docs/explanation/bucketing.md.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Protocol

from rollout.percentage import POSITIONS

__all__ = [
    "ALGORITHMS",
    "POSITION_BYTES",
    "SHORT",
    "SHORT_BYTES",
    "Digest",
    "is_in",
    "limit",
    "position",
    "position_of",
    "prefix",
]

#: How much of the digest is the position: 8 bytes, big-endian.
POSITION_BYTES = 8

#: Takes a digest, gives a tuple of one: its first 8 bytes as a big-endian number.
position_of: Callable[[bytes], tuple[int]] = struct.Struct(">Q").unpack_from

# Above every digest: 33 bytes, one more than the longest digest that starts with them.
_ABOVE_ALL = b"\xff" * 33


class Digest(Protocol):
    """What a hash function returns."""

    def digest(self) -> bytes:
        """Return the digest: at least 8 bytes."""
        ...


#: Every way of bucketing there is, by name: the hash of "{salt}:{unit}". An entry is never changed or
#: removed.
ALGORITHMS: Mapping[str, Callable[[bytes], Digest]] = MappingProxyType({"r1": hashlib.sha256})

#: What SHA-256 takes in one block: 64 bytes less its padding. Source: FIPS 180-4, 5.1.1.
SHORT_BYTES = 55


def _short_sha256() -> Callable[[bytes], Digest]:
    """Return the SHA-256 that is the fastest for one block.

    CPython's own, which `hashlib` takes where OpenSSL has none: it is set up sooner, by a tenth of the whole
    or more. From two blocks on OpenSSL's is faster, by a third. `_sha2` since 3.12, `_sha256` before; a build
    may leave it out.
    """
    for name in ("_sha2", "_sha256"):
        try:
            found: Callable[[bytes], Digest] = import_module(name).sha256
        except (ImportError, AttributeError):
            continue
        return found
    return hashlib.sha256


#: The same hashes, sooner where the data has at most `SHORT_BYTES`; right for any length.
SHORT: Mapping[str, Callable[[bytes], Digest]] = MappingProxyType({"r1": _short_sha256()})


def prefix(salt: str) -> bytes:
    """Return what all units of a salt begin with."""
    return salt.encode() + b":"


def position(salt: str, unit: str) -> int:
    """Return the place of *unit* under *salt*, 0 to 2^64 − 1, by algorithm `r1`.

    Args:
        salt: The flag's salt, `[A-Za-z0-9._-]+`.
        unit: The unit's text, as `context.unit_text` gives it.
    """
    return position_of(hashlib.sha256(prefix(salt) + unit.encode()).digest())[0]


def is_in(position: int, threshold: int) -> bool:
    """Say whether *position* (0 to 2^64 − 1) is below *threshold* (0, nobody, to 2^64, everybody)."""
    return position < threshold


def limit(threshold: int) -> bytes:
    """Return the bytes that a digest is below exactly when its position is below *threshold*.

    Bytes compare like the big-endian number they are, and a digest that starts with all 8 bytes is longer,
    hence not below. That spares the hot path the conversion to a number.
    """
    return threshold.to_bytes(POSITION_BYTES, "big") if threshold < POSITIONS else _ABOVE_ALL
