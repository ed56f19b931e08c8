"""Options of commands that are fields of a request, and what their values mean."""
