"""Many machines on one: each host is a network namespace, and faults are injected while jobs run.

network    the hosts, and the switch between them, whose ports can be cut
roles      what runs on them: PostgreSQL, S3, web servers, workers, nginx
faulty     web servers and workers that stop, or are killed, at a step
faults     what is done to them, chosen by a seed
clients    who upload and wait for their jobs
checks     what must hold afterwards
round      all of it together; `python -m tests.cluster` prints a table of several
"""
