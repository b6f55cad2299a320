"""The joint in a Django project: `dispatch` behind the gate."""

from __future__ import annotations
