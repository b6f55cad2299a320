"""Say where an event holds what it may not hold: personal data, undeclared fields, values of another type.

What belongs here: the walk over data and metadata. What must not: the shapes of personal data (detectors.py),
the allow-list (allowlist.py), and what follows from a finding. The invariant: every text,
key or value, declared or not, is looked at; a finding names a place and a kind, never a value or an unlisted
key. Explained in docs/explanation/security-model.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from webhooks_core.allowlist import METADATA, EventFields, Field, FieldType
from webhooks_core.detectors import Kind, detect, is_forbidden_key, readable
from webhooks_core.envelope import MAX_DEPTH

__all__ = ["EventFields", "FieldType", "Finding", "Kind", "check", "scan", "shown_path"]

UNLISTED = "*"
MAX_FINDINGS = 100
"""More are not looked for: the first one blocks the delivery."""

# A number has no shape that is looked for; as a float one of any length is read.
_JSON = json.JSONDecoder(parse_int=float)

# The greps of both runbooks must find nothing in a log line, so a path shows no key with one of these in it.
_UNSHOWN = re.compile(r"email|username|ip_address", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Hold one finding: its kind and its place, never the value.

    Attributes:
        path: E.g. ``data.players[3].*``: a key that the allow-list does not have is ``*``.
        in_free_text: Whether it stands in a field declared `text`, which people outside can write.
    """

    kind: Kind
    path: str
    in_free_text: bool = False

    @property
    def is_pii(self) -> bool:
        """Return whether personal data was found, not merely an unfinished declaration."""
        return self.kind not in (Kind.UNKNOWN_FIELD, Kind.WRONG_TYPE)

    @property
    def trips_rollout(self) -> bool:
        """Return whether the rollout must trip at once: personal data where no user could have put it."""
        return self.is_pii and not self.in_free_text


def check(
    data: Mapping[str, object], metadata: Mapping[str, object] | None, fields: EventFields | None
) -> tuple[Finding, ...]:
    """Return what an event holds that it may not hold; an empty tuple lets it go.

    Personal data come first, then fields that are unknown or of another type; 100 of each kind at most.

    Args:
        data: As it was, or will be, sealed.
        metadata: The same; ``created``, ``email_sent`` and ``webhook_id`` are declared for every event.
        fields: The event's allow-list; None means that it has none, so that every field is unknown.
    """
    walk = _Walk()
    walk.mapping(data, {} if fields is None else fields.data, "data")
    walk.mapping(metadata or {}, METADATA if fields is None else fields.metadata, "metadata")
    return (*walk.personal, *walk.undeclared)


def scan(value: object, *, path: str = "data") -> tuple[Finding, ...]:
    """Return the personal data that the detectors find in *value*, whatever its shape; keys are ``*``."""
    walk = _Walk()
    walk.anything(value, path)
    return tuple(walk.personal)


def shown_path(path: str, fields: EventFields | None) -> str:
    """Return the place that an `EnvelopeError` names as a log may show it: unlisted keys are ``*``.

    Args:
        path: E.g. ``data.players[3].name``.
        fields: The event's allow-list; None means that it has none.
    """
    root, *steps = path.split(".")
    data = {} if fields is None else fields.data
    metadata = METADATA if fields is None else fields.metadata
    listed: Mapping[str, Field] = {"data": data, "metadata": metadata}.get(root, {})
    shown = [root]
    for step in steps:
        key, bracket, index = step.partition("[")
        field = listed.get(key)
        shown.append((UNLISTED if field is None else _key(key)) + bracket + index)
        listed = {} if field is None or field.inner is None else field.inner
    return ".".join(shown)


def _key(key: str) -> str:
    """Return a listed key, or ``*`` where the runbook's search would take it for personal data."""
    return UNLISTED if _UNSHOWN.search(key) else key


class _Walk:
    """Look at every text of one event; what is listed is checked by its type, what is not is searched."""

    def __init__(self) -> None:
        # Dictionaries as ordered sets.
        self.personal: dict[Finding, None] = {}
        self.undeclared: dict[Finding, None] = {}
        self._depth = 0

    def mapping(self, value: Mapping[str, object], fields: Mapping[str, Field], path: str) -> None:
        if self._is_too_deep(path):
            return
        for key, item in value.items():
            field = fields.get(key)
            if field is not None:
                self._field(item, field, f"{path}.{_key(key)}")
            else:
                self._add(Kind.UNKNOWN_FIELD, f"{path}.{UNLISTED}")
                self._pair(key, item, path)
        self._depth -= 1

    def anything(self, value: object, path: str, *, in_free_text: bool = False, opens: bool = True) -> None:
        """Search a value of which nothing is declared; a text that is JSON is opened once."""
        if isinstance(value, str):
            self._text(value, path, in_free_text=in_free_text, opens=opens)
        elif isinstance(value, Mapping | list | tuple) and not self._is_too_deep(path):
            if isinstance(value, Mapping):
                for key, item in value.items():
                    self._pair(key, item, path, in_free_text=in_free_text, opens=opens)
            else:
                for index, item in enumerate(value):
                    self.anything(item, f"{path}[{index}]", in_free_text=in_free_text, opens=opens)
            self._depth -= 1

    def _pair(
        self, key: object, item: object, path: str, *, in_free_text: bool = False, opens: bool = True
    ) -> None:
        inner = f"{path}.{UNLISTED}"
        if isinstance(key, str):
            if is_forbidden_key(key):
                self._add(Kind.KEY, inner, in_free_text=in_free_text)
            self._text(key, inner, in_free_text=in_free_text, opens=opens)
        self.anything(item, inner, in_free_text=in_free_text, opens=opens)

    def _field(self, value: object, field: Field, path: str) -> None:
        if field.is_list and isinstance(value, list | tuple):
            single = field.single()
            for index, item in enumerate(value):
                self._field(item, single, f"{path}[{index}]")
        elif field.inner is not None and not field.is_list and isinstance(value, Mapping):
            self.mapping(value, field.inner, path)
        elif field.inner is not None or field.is_list or not field.allows(value):
            self._add(Kind.WRONG_TYPE, path)
            self.anything(value, path)
        elif field.type is FieldType.TEXT:
            self.anything(value, path, in_free_text=True)

    def _text(self, text: str, path: str, *, in_free_text: bool, opens: bool) -> None:
        for kind in detect(text):
            self._add(kind, path, in_free_text=in_free_text)
        plain = readable(text).lstrip() if opens else ""
        if plain[:1] in ("{", "[", '"'):
            try:
                opened, _ = _JSON.raw_decode(plain)
            except (ValueError, RecursionError):
                return
            self.anything(opened, path, in_free_text=in_free_text, opens=False)

    def _add(self, kind: Kind, path: str, *, in_free_text: bool = False) -> None:
        finding = Finding(kind=kind, path=path, in_free_text=in_free_text)
        found = self.personal if finding.is_pii else self.undeclared
        if len(found) < MAX_FINDINGS:
            found[finding] = None

    def _is_too_deep(self, path: str) -> bool:
        if self._depth >= MAX_DEPTH:
            self._add(Kind.WRONG_TYPE, path)
            return True
        self._depth += 1
        return False
