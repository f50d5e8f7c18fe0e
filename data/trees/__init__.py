"""The trees table: seedlings in a shade-house experiment, and which of them died."""
