"""Use of the machine by a process: memory, threads, devices, distributed processes and signals."""
