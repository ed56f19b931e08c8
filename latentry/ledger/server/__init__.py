"""The Redis server: TLS to it, what its errors mean, and whether it is what the service needs."""
