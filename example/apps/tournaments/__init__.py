"""Tournaments, registrations, payments and matches: what happens, and to whom it is told."""
