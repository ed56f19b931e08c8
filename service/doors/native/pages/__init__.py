"""Which jobs a page has, and which page comes next."""
