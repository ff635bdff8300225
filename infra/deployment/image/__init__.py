"""The worker's container image: what it installs, and the proof that it builds and works."""
