"""Workers that take alerts from the inbox, in one process, several, or on a Ray cluster."""
