"""Networks that show a UNet a picture (ControlNets and others): what they fit, and whose rows."""
