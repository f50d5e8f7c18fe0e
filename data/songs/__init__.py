"""The songs table: tracks with their audio features, and which of them are reggaeton."""
