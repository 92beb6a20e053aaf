"""Files on disk: atomic writes, formats, memory-mapped arrays, saved models and run folders.

Terms used here: the record of a folder is its JSON file (run.json, counts.json) that lists the other files with their
checksums. A staged file or folder is a temporary one that is moved to its target once complete. A folder moved aside is
an earlier target that is being replaced.
"""
