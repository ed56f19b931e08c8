"""What an image starts from: noise, noise between two seeds', or a picture with noise."""
