"""Process-level support: memory, threads, devices, distributed processes and signals."""
