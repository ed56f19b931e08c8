"""ControlNet: networks that show a UNet a picture, what they fit, and whose rows they are for."""
