"""Pictures from outside: vetted by their header, decoded by a process with limits, kept as PNG.

The only room where a caller's picture is looked at. Nothing here trusts a name or a media type.
"""
