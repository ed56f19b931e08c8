"""Background tasks: ending what is overdue, removing what has expired."""
