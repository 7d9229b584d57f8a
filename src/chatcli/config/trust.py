"""A ``.env`` that merely lies in the working folder may have come with somebody's repository.

It may say how to answer, and bring an endpoint with a key of its own. It may not choose the endpoint for a
person whose key comes from elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chatcli.config.specs import SETTINGS_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.config.layers import Layer


def confine(layer: Layer, keys_elsewhere: Sequence[str]) -> Layer:
    """Return an untrusted layer without its routing if there are keys elsewhere, named by their places.

    The layer's own keys stay bound to the endpoint the layer named.
    """
    routing = {name: found for name, found in layer.found.items() if SETTINGS_BY_NAME[name].routes}
    if not (routing and keys_elsewhere):
        return layer
    warning = (
        f"ignored {', '.join(found.origin for found in routing.values())}: a file in the working folder may not "
        f"redirect requests while a key comes from {keys_elsewhere[0]} (--env-file .env trusts the file)"
    )
    kept = {name: found for name, found in layer.found.items() if name not in routing}
    return replace(layer, found=kept, warnings=(*layer.warnings, warning))
