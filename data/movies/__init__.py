"""The movies table: films, and what they earned worldwide."""
