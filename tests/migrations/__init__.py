"""Migrations on the application's settings, on real servers."""
