"""Files on disk: atomic writes, formats, memory-mapped arrays, saved models and run folders."""
