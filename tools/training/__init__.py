"""The training of the bundled model: its parts, their data and the exported folder."""
