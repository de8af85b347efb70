"""The query index: a cache in SQLite that answers lists, fed from the store's feed on demand."""
