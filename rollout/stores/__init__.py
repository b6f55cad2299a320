"""Where rollouts are kept: the port `base.RolloutStore`, and one module for each technology, named after it.

Invariant: what one implementation does with a write, all do; `rollout.testing.RolloutStoreContract` is the
suite. Explained in docs/explanation/rollout-plan.md.
"""
