"""The life of a model in production: serving, the clock, monitoring, the loop."""
