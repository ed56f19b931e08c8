"""What an image file says about its making: enough to repeat it, never a time, an id or a host.

Written by the worker and readable by the gateway: nothing here needs torch.
"""
