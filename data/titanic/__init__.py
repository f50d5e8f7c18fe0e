"""The titanic table: passengers, and who survived."""
