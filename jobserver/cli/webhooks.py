"""webhook-secret: what receivers verify webhooks with."""

import click

from jobserver.auth.keys import signing_keys
from jobserver.cli.common import command, current_settings
from jobserver.webhooks.signature import secret_text


@command("webhook-secret")
def webhook_secret() -> None:
    """Print the secret of webhooks, which follows from SECRET_KEY; give it to receivers.

    A line for each key of SECRET_KEY, the newest first: until the old one goes, both sign.
    """
    for key in signing_keys(current_settings()):
        click.echo(secret_text(key))
