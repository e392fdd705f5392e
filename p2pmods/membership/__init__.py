"""Who is there: SWIM with Lifeguard among the directors of a swarm, without I/O."""
