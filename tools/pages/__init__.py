"""Pages of the documentation that programs write from the code; tests compare."""
