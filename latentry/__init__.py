"""latentry: the shared language, the SDK and the command line of a Stable Diffusion service."""

__version__ = "0.1.0"
