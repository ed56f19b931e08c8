"""What a fast model serves, by the number of callers and by its storage."""
