"""How the bundled model is made: its pictures, captions, training, export and measurement."""
