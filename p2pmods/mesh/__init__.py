"""The node's side of the mesh that touches the world: sockets, interfaces, multicast, and the files that it keeps."""
