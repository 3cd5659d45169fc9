"""The inbox: alerts that wait to be investigated. Durable, in turn, each once."""
