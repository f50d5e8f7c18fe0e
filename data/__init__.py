"""Sample tables: how they are made and where the real ones come from."""
