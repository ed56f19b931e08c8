"""`latentry doctor`: is the service well, and what is to be done if not."""
