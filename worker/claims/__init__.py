"""Claims jobs, keeps their leases, and reports their progress and checkpoints to the ledger."""
