"""The commands that make pictures, and what becomes of the files."""
