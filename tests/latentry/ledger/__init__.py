"""The ledger against a real Valkey."""
