"""A store on Cloudflare D1 and on anything shaped like it. Imports no driver: take a binding from its own module."""

from storeproof.adapters.d1.store import D1Store

__all__ = ["D1Store"]
