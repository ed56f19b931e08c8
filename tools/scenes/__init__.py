"""Pictures of coloured shapes: drawn from a description, captioned, and recognised again."""
