"""Template tags of the app `rollout`: `{% load rollout %}`."""
