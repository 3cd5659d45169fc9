"""Streams: how alerts come in by themselves, from files, syslog, Kafka, SQS, into the inbox."""
