"""Pictures enlarged by themselves, in short calls beside the UNet's. Networks need torch, the rest
does not.
"""
