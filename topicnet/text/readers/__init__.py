"""Readers that turn files, folders, tables and standard input into batches of documents."""
