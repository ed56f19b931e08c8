"""How the clients reach the service: its address, proxies and TLS, connections, event streams."""
