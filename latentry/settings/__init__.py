"""Typed settings from LATENTRY_* variables, one module for each part of the service."""

from latentry.settings.environment import CLIENT_VARIABLES, Settings
from latentry.settings.section import MAX_TTL_S, PREFIX

__all__ = ["CLIENT_VARIABLES", "MAX_TTL_S", "PREFIX", "Settings"]
