"""How a process uses its machine: memory, threads, devices, processes and signals."""
