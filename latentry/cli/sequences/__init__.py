"""The commands that draw pictures which belong in a sequence."""
