"""The release this is. Apart from the package, so that the engine can name it and import no SDK."""

__version__ = "0.1.0"
