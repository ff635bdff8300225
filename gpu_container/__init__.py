"""Photo → model: decode, matte, Field, pictures, mesh, texture, files. Only ``worker`` knows AWS."""

import os

# Before anything loads torch, whose OpenMP reads it once. Threads that wait for each other shall sleep, not
# spin: where other processes want the cores too, spinning made a density grid several times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
