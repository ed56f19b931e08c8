"""What an operator does directly in the ledger, without a gateway: API keys, signing secrets.

The command line never imports the ledger: `latentry keys` and `latentry webhooks` start this
package by name in a process of its own, as `latentry serve` starts the service and the worker. It
needs the `server` extra.
"""
