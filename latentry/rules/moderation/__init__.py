"""What may be drawn: rules on prompts and on pictures, and how a text is read for them."""
