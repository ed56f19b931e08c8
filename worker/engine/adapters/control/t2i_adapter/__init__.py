"""T2I-Adapters: networks that see a picture alone, once, and what they add on a UNet's way down."""
