"""A fuzzer for what strangers can send: PDUs over a real socket, and encoded data sets.

`python -m tests.fuzz --minutes 10` runs it for long; its seeds run with the tests.
"""
