"""What knows neither web nor model: settings, storage, logs, errors, time."""
