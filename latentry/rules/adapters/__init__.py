"""Which adapters a request means, one kind each."""
