"""Claimed jobs and their leases: taken, renewed, saved, handed back."""
