"""One model, pure: no database, no web, no clock."""
