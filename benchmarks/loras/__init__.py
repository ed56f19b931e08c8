"""Different LoRAs in one call, beside grouping by adapter, none, one for all, and stock."""
