"""Everyone who is measured: the engine, the service, the stock pipeline and other servers."""
