"""`latentry serve`: Valkey, worker and gateway as one thing that starts, lives and stops.

Every child hangs on a tether (tether.py), is kept alive by a keeper (keeper.py), and the stack
(stack.py) says in which order. The service and the worker are started by name, never imported.
"""
