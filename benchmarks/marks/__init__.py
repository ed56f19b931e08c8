"""What marks cost: seconds and bytes a picture."""
