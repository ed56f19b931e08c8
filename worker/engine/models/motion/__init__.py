"""Motion modules, which make a UNet draw the frames of a clip together (AnimateDiff)."""
