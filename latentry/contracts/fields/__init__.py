"""The fields of a generation request, each once: its type, its bounds and its description.

A field that may be null takes the model's default there. Other doors annotate with the same names;
tests/latentry/test_parity.py compares the SDK and the command line with the request.
"""
