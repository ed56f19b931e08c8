"""Delivers webhooks: signed, at least once, with retries for about three days."""

from service.webhooks.sender import WebhookSender

__all__ = ["WebhookSender"]
