"""Tells receivers what became of their jobs, until they have it or are given up."""

from service.webhooks.sender import WebhookSender

__all__ = ["WebhookSender"]
