"""From files to sparse counts; no torch in here."""
