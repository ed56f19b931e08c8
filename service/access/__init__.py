"""Who may come in: API keys, and whether the gateway may open without one."""
