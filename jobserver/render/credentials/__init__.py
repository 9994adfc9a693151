"""Content Credentials (C2PA) of a source: whether it carries any, and what they claim.

They are read, never verified: a signature says who signed, which is no question of ours. What we
render carries none, since it would claim what nobody signed.

`carriers` finds the manifest store in a file, `jumbf` reads its boxes, `cbor` what is in them.
"""

from jobserver.render.credentials.claims import Credentials, read_credentials

__all__ = ["Credentials", "read_credentials"]
