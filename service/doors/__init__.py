"""The front APIs, a folder each; beside them what they share. A door only translates."""
