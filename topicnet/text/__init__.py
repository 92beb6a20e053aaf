"""Text processing: reading documents, tokenising them and counting words; nothing here imports torch."""
