"""The WSGI entry point of the example, for gunicorn and friends."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deltacrown.settings.production")
application = get_wsgi_application()
