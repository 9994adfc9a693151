"""PostgreSQL by psycopg 3: the only package that imports it.

connection   what the rest of jobserver sees
sessions     the sessions of one process to one server, shared by its threads
schema       making a database, bringing it up to date, refusing one that cannot be used
errors       what the server says, as our classes
"""

from jobserver.db.postgres.connection import connect
from jobserver.db.postgres.schema import check, identity, initialise, label, refuse_unreachable

__all__ = ["check", "connect", "identity", "initialise", "label", "refuse_unreachable"]
