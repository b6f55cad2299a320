"""How the manual is built: Sphinx, furo, MyST; warnings are errors (`python3 dev.py docs`)."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

project = "rollout-webhooks"
author = "The rollout-webhooks authors"
copyright = "2026, the rollout-webhooks authors"
release = installed_version("rollout-webhooks")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "rollout-webhooks"
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_use_rtype = False
html_static_path: list[str] = []
# Both packages have a ConfigError: a docstring's short name is read in its own module, by people.
suppress_warnings = ["ref.python"]
