"""What this worker serves, as the ledger is told."""
