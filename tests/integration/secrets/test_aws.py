"""AWS Secrets Manager as moto plays it: stages, rotation, and an AWS that is away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from rollout.testing import ManualClock
from webhooks_core.errors import ConfigError, StoreUnavailable
from webhooks_core.keys import KeyRing
from webhooks_core.secrets import AwsSecretsManager, LiveKeyRing

OLD, NEW = "5f3c9a1e7b2d4c6f8091a2b3c4d5e6f7", "6e2b8f0d6a1c3b5e7f8091a2b3c4d5e6"
NAME = "production/webhooks"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an account that moto plays."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield boto3.client("secretsmanager")


@pytest.fixture
def ticks() -> ManualClock:
    return ManualClock(0.0)


def test_the_current_version_is_first_and_the_previous_one_follows(aws: Any, ticks: ManualClock) -> None:
    """Before the first rotation there is one; after it two; after the next the oldest is gone."""
    aws.create_secret(Name=NAME, SecretString=OLD)
    secrets = AwsSecretsManager(NAME, monotonic=ticks)
    first = secrets()
    aws.put_secret_value(SecretId=NAME, SecretString=NEW)
    ticks.advance(299)
    within = secrets()
    ticks.advance(1)
    rotated = secrets()
    aws.put_secret_value(SecretId=NAME, SecretString="third" * 8)
    ticks.advance(300)

    assert list(first) == list(within) == [OLD]
    assert list(rotated) == [NEW, OLD]
    assert list(secrets()) == ["third" * 8, NEW]


def test_a_rotation_reaches_a_ring(aws: Any, ticks: ManualClock) -> None:
    """Sign with the new one, verify with both."""
    aws.create_secret(Name=NAME, SecretString=OLD)
    ring = LiveKeyRing(AwsSecretsManager(NAME, monotonic=ticks), monotonic=ticks)
    before = ring == KeyRing.of(OLD)
    aws.put_secret_value(SecretId=NAME, SecretString=NEW)
    ticks.advance(301)

    assert before
    assert ring == KeyRing.of(NEW, OLD)


def test_a_version_may_be_a_field_of_a_json_object(aws: Any) -> None:
    """As the console makes key/value secrets; a list inside it is a list."""
    aws.create_secret(Name=NAME, SecretString=json.dumps({"webhook": OLD, "other": "x"}))
    aws.put_secret_value(SecretId=NAME, SecretString=json.dumps({"webhook": [NEW, OLD]}))

    assert list(AwsSecretsManager(NAME, field="webhook")()) == [NEW, OLD]


@pytest.mark.parametrize("version", [OLD, "{}", '{"webhook": 7}', f'{{"Webhook": "{OLD}"}}'])
def test_a_version_without_the_field_is_told_without_its_text(aws: Any, version: str) -> None:
    """The secret's name and the stage are told."""
    aws.create_secret(Name=NAME, SecretString=version)

    with pytest.raises(ConfigError, match=f'{NAME}: AWSCURRENT must be .* the key "webhook"') as caught:
        AwsSecretsManager(NAME, field="webhook")()

    assert OLD not in str(caught.value)


def test_a_secret_that_is_not_there_is_a_mistake_in_the_settings(aws: Any) -> None:
    """Not an outage."""
    with pytest.raises(ConfigError, match="knows no such secret"):
        AwsSecretsManager(NAME)()


def test_a_binary_secret_is_refused(aws: Any) -> None:
    """Nobody knows how it would be a text."""
    aws.create_secret(Name=NAME, SecretBinary=b"x" * 40)

    with pytest.raises(ConfigError, match="must be text, not binary"):
        AwsSecretsManager(NAME)()


class Failing:
    """A client that answers, and then fails."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = None
        self.later = error

    def get_secret_value(self, *, SecretId: str, VersionStage: str) -> dict[str, object]:
        if self.error is not None:
            raise self.error
        return {"SecretString": OLD}


DENIED = ClientError(
    {"Error": {"Code": "AccessDeniedException", "Message": f"arn:…:role/x may not read {OLD}"}}, "Get"
)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (DENIED, "AccessDeniedException"),
        (EndpointConnectionError(endpoint_url="https://internal.example"), "EndpointConnectionError"),
    ],
)
def test_an_aws_that_fails_is_covered_for_a_day(error: Exception, says: str, ticks: ManualClock) -> None:
    """Then the error comes out, with AWS's code and nothing of its text."""
    client = Failing(error)
    secrets = AwsSecretsManager(NAME, new_client=lambda: client, monotonic=ticks)
    first = secrets()
    client.error = client.later
    ticks.advance(86_400)
    covered = secrets()
    ticks.advance(6)

    assert covered is first
    assert list(first) == [OLD]
    with pytest.raises(StoreUnavailable, match=f"^AWS Secrets Manager is not available: {says}$"):
        secrets()


def test_requests_are_bounded_and_not_repeated(aws: Any) -> None:
    """Two seconds, once; the cache is what covers an outage."""
    client: Any = AwsSecretsManager(NAME)._connected()
    config = client.meta.config

    assert (config.connect_timeout, config.read_timeout) == (2.0, 2.0)
    assert config.retries["total_max_attempts"] == 1


def test_nothing_shows_a_secret(aws: Any) -> None:
    """The name is shown."""
    aws.create_secret(Name=NAME, SecretString=OLD)
    secrets = AwsSecretsManager(NAME)

    assert OLD not in f"{secrets!r} {secrets()!r}"
    assert NAME in repr(secrets)
