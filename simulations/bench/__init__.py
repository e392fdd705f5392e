"""What the node costs, as ratios against `file://`, going direct, and Go's own file server: see README.md."""
