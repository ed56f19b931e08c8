"""Callers' pictures: header checked, decoded in a sandboxed process, stored as PNG.

Only this package reads callers' pictures. File names and media types are never trusted.
"""
