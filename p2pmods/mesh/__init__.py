"""Drivers of the mesh: they move bytes and time between sockets and the machines below."""
