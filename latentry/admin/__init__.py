"""What an operator does straight at the ledger, without a gateway: API keys, signing secrets.

The command line proper speaks contracts only and never imports the ledger; `latentry keys` and
`latentry webhooks` start this room by its name, as `latentry serve` starts the others. It needs the
`server` extra.
"""
