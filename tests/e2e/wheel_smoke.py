"""Run by a clean interpreter that has the wheel and nothing else: both cores work, and nothing came along."""

from __future__ import annotations

import importlib.metadata
import sys
from importlib import resources

import rollout
import webhooks_core

names = {distribution.metadata["Name"].lower() for distribution in importlib.metadata.distributions()}
assert names <= {"rollout-webhooks", "pip", "setuptools", "wheel"}, f"came along: {sorted(names)}"
assert "site-packages" in (rollout.__file__ or ""), rollout.__file__
for package in (rollout, webhooks_core):
    assert resources.files(package).joinpath("py.typed").is_file(), (
        f"{package.__name__} came without its types"
    )

flags = rollout.LiveFlags(rollout.MappingSource({"tournament-webhooks": {"percentage": 50}}))
gate = rollout.Gate("tournament-webhooks", flags)
let_in = sum(gate.is_open(unit) for unit in range(10_000))
assert 4_800 < let_in < 5_200, let_in

keys = webhooks_core.KeyRing.of("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
envelope = webhooks_core.seal(
    "payment_verified", {"tournament_id": 101}, webhook_id="550e8400-e29b-41d4-a716-446655440000"
)
headers = webhooks_core.Signer(keys=keys).sign(
    envelope.body, event=envelope.event, webhook_id=envelope.webhook_id, now=1_763_000_000.0
)
verified = webhooks_core.Verifier(keys).verify(headers, envelope.body, now=1_763_000_001.0)
assert verified.event == "payment_verified"

python = sys.version.split()[0]
print(f"wheel smoke: Python {python}, {let_in} of 10000 units at 50 %, one webhook signed and verified")
