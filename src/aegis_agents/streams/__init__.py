"""Streams: how alerts come in by themselves, from files, syslog, Kafka, SQS, into the inbox.

`Runner` keeps the configured ones going, a thread each. A stream reads, and hands what it read to its `Intake`, which
waits while the inbox is full. How far a stream was read (marks) is kept in one transaction with what was read, so that
a process that is killed goes on where it was, and brings nothing twice and loses nothing that can be asked for again.
"""
