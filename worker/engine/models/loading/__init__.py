"""From files into memory: read, digested, converted, and made small."""
