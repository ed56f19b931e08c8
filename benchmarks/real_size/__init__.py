"""Real sizes: SD 1.5 and SDXL as published, loaded and drawn with beside other programs."""
