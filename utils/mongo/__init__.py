"""All that speaks to MongoDB: the connection, its indexes and one module a collection."""
