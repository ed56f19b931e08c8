"""What runs beside the routes: sweeping what is overdue, removing what has expired."""
