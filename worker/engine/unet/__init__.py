"""One call of a UNet: eager, with cached features (DeepCache), or compiled."""
