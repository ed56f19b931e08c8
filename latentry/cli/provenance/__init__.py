"""`latentry verify`."""
