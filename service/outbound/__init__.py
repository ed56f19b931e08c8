"""The one way out: HTTP to an address that somebody else named. No other module dials."""

from service.outbound.client import Outbound
from service.outbound.rules import Rules, Target

__all__ = ["Outbound", "Rules", "Target"]
