"""Read files, folders, tables and standard input to batches of documents."""
