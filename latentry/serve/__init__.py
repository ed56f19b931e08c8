"""`latentry serve`: Valkey, worker and gateway, started, supervised and stopped together.

Every child runs under a tether (tether.py) and a supervisor (supervisor.py); stack.py says in which
order. The service and the worker are started by name, never imported.
"""
