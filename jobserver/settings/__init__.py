"""Every setting once: its name, unit, default and what makes a value usable.

A value comes from create_app's overrides, else the environment, else instance/config.py,
else the default: what is set for one run wins over what a file says of all. A value that cannot
be used stops the start with one sentence. Reading creates nothing; folders.py does.

A setting is added to the group that it belongs to (`secrets`, `places`, `limits`, `rendering`);
what makes settings unusable together is in `model`, where they are read from in `load`.
"""

from jobserver.settings.errors import SettingsError, unusable
from jobserver.settings.load import load_settings
from jobserver.settings.model import Settings
from jobserver.settings.secrets import weak_secrets

__all__ = ["Settings", "SettingsError", "load_settings", "unusable", "weak_secrets"]
