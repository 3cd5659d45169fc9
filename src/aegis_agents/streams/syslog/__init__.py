"""A syslog receiver: framing, headers, what devices put into the message (JSON, CEF, LEEF), and the listener."""
