"""Text processing: read documents, tokenise them and count words; nothing here imports torch."""
