"""What surrounds an installed node: the demo, and the peers that the demo and the tests start."""
