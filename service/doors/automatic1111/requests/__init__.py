"""What AUTOMATIC1111's clients send, and what becomes of each field here."""
