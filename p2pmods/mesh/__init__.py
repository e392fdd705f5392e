"""Drivers of the mesh: they move bytes and time between the world and the machines below."""
