"""HTTP requests to URLs that callers name, guarded against SSRF. No other module connects out."""

from service.outbound.client import Outbound
from service.outbound.rules import Rules, Target

__all__ = ["Outbound", "Rules", "Target"]
