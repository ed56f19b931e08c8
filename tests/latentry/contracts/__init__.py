"""What crosses a boundary, and the settings."""
