"""What a run leaves: verdicts, tables, JSON, a picture, a page."""
