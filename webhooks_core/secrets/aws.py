"""Secrets in AWS Secrets Manager: the current version signs, the previous one still verifies.

What belongs here: two requests and the form of what they return. Invariants: each is bounded in time and not
repeated; what cannot be fetched is covered by what was fetched before, for a day at most. Explained in
docs/how-to/keep-secrets-in-a-secrets-manager.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from os import getpid
from typing import Protocol, cast

from webhooks_core.errors import ConfigError, StoreUnavailable
from webhooks_core.secrets.base import STALE_SECONDS, CachedSecrets, SecretText, parsed

AWS_TTL_SECONDS = 300.0
"""A process asks twelve times an hour; a rotation is in force everywhere within five minutes."""

REQUEST_SECONDS = 2.0
"""For connecting, and for each read: a worker waits for this once, and then goes on with what it knows."""

CURRENT, PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"
_NOT_FOUND = "ResourceNotFoundException"


class Client(Protocol):
    """The one method of boto3's client that is used."""

    def get_secret_value(self, *, SecretId: str, VersionStage: str) -> Mapping[str, object]:
        """Return one version of a secret."""
        ...


class AwsSecretsManager(CachedSecrets):
    """Fetch the current and the previous version of one secret; call it to get the texts, newest first.

    A version is the secret's text, a JSON list of texts, or a JSON object whose *field* is one of those.
    The role needs `secretsmanager:GetSecretValue` on this secret, and nothing else.

    Args:
        secret_id: Name or ARN.
        field: The key inside a JSON object; None where the version is the secret itself.
        region: As boto3 finds it when left out.
        new_client: Makes the client, once in each process; boto3's with our time-outs when left out.
        ttl_seconds: For so long AWS is not asked again.
        stale_seconds: For so long, since it last answered, an AWS that fails is covered by that answer.
        monotonic: Seconds that only grow.
    """

    def __init__(
        self,
        secret_id: str,
        *,
        field: str | None = None,
        region: str | None = None,
        new_client: Callable[[], Client] | None = None,
        ttl_seconds: float = AWS_TTL_SECONDS,
        stale_seconds: float = STALE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,  # noqa: TID251 - a service's default
    ) -> None:
        self._secret_id = secret_id
        self._field = field
        self._new_client = new_client or (lambda: _boto3_client(region))
        self._client: tuple[int, Client] | None = None
        super().__init__(
            self._fetch, ttl_seconds=ttl_seconds, stale_seconds=stale_seconds, monotonic=monotonic
        )

    def __repr__(self) -> str:
        return f"AwsSecretsManager({self._secret_id!r})"

    def _fetch(self) -> object:
        current = self._version(CURRENT)
        if current is None:
            raise ConfigError(self._secret_id, "AWS Secrets Manager knows no such secret in this region")
        return [*current, *(self._version(PREVIOUS) or ())]

    def _version(self, stage: str) -> list[SecretText] | None:
        """Return the texts of one version; None where there is none at that stage."""
        try:
            found = self._connected().get_secret_value(SecretId=self._secret_id, VersionStage=stage)
        except Exception as error:  # noqa: BLE001 - botocore's, whatever it is; re-raised without its text
            code = _code(error)
            if code == _NOT_FOUND:
                return None
            # The text of an error may name accounts and roles; its code says enough.
            raise StoreUnavailable("AWS Secrets Manager", code) from None
        text = found.get("SecretString")
        if not isinstance(text, str):
            raise ConfigError(self._secret_id, f"{stage} must be text, not binary")
        return list(parsed(self._field_of(SecretText(text), stage), path=self._secret_id))

    def _field_of(self, text: SecretText, stage: str) -> SecretText:
        if self._field is None:
            return text
        value = _json_field(text, self._field)
        if value is None:
            raise ConfigError(self._secret_id, f'{stage} must be a JSON object with the key "{self._field}"')
        return value

    def _connected(self) -> Client:
        client = self._client
        if client is None or client[0] != getpid():
            self._client = client = (getpid(), self._new_client())
        return client[1]


def _json_field(text: str, field: str) -> SecretText | None:
    """Return the text (or the list, as JSON) under *field*; None where there is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # it holds the whole text: nobody may see it
        return None
    value = found.get(field) if isinstance(found, dict) else None
    if isinstance(value, list):
        return SecretText(json.dumps(value))
    return SecretText(value) if isinstance(value, str) else None


def _code(error: Exception) -> str:
    """Return AWS's own code of an error, or the error's type."""
    response = getattr(error, "response", None)
    details = response.get("Error") if isinstance(response, dict) else None
    code = details.get("Code") if isinstance(details, dict) else None
    return code if isinstance(code, str) and code.isalnum() else type(error).__name__


def _boto3_client(region: str | None) -> Client:
    import boto3  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]

    bounds = Config(
        connect_timeout=REQUEST_SECONDS, read_timeout=REQUEST_SECONDS, retries={"total_max_attempts": 1}
    )
    return cast(Client, boto3.client("secretsmanager", region_name=region, config=bounds))
