"""What ``bench.serving`` compares: servers, their models, and the load on them."""
