"""One node: every part built from the settings, and the owner of their lifetimes."""

from p2pmods.node.node import Node
from p2pmods.node.nodefile import NODE_FILE
from p2pmods.node.running import run_node

__all__ = ["NODE_FILE", "Node", "run_node"]
