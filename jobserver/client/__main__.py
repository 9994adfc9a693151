"""`python -m jobserver.client`: the command `jobserver`, where pip has not installed it."""

from jobserver.client.commands import main

main(prog_name="jobserver")
