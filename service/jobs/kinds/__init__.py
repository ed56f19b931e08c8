"""How jobs of other kinds than generations are admitted."""
