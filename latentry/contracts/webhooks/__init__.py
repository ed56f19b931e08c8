"""What a client is told by webhook, and how its deliveries went."""
