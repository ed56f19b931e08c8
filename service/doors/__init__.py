"""The front APIs, one folder each, and what they share. A door only translates."""
