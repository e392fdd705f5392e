"""A peer-to-peer, decentralised proxy for Go modules."""

__version__ = "0.1.0"
