"""Data: records, readers, cleaning, tokenising, batching."""
