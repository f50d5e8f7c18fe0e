"""The web server under gunicorn's master: a worker whose threads never wait for a client.

One thread, the poller, owns all connections: it gathers each request until it is complete, and sends what a
slow reader has not taken yet. Complete requests go to lanes (``lanes``): predictions, health, and the rest
each have threads of their own, so none holds up another. A lane that is full refuses at once.

What a request means is not decided here: gunicorn parses it, from exactly the bytes that ``framing`` found to
be it, and the Flask app answers it.
"""
