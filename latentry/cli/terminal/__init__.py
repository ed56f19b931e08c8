"""What a person at a terminal sees: progress, pictures, pages of help."""
