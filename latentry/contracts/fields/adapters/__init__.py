"""What a request says of the adapters that it uses, one kind each."""
