"""HTTP below the routes: bodies, headers, problems, the connection."""
