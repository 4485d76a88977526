"""The other side of the differential test: pypitoken and pymacaroons, asked about everything in one process.

Reads one JSON object from standard input and writes one to standard output:

- `checks`: tokens with the contexts they are shown in; answers whether pypitoken accepts each.
- `make`: tokens to be made by pymacaroons from their parts, and by pypitoken from its own restrictions; answers their
  texts.
"""

import json
import sys

import pymacaroons
from pypitoken import Token


def accepts(token, key, context):
    try:
        Token.load(token).check(
            key,
            project_name=context["project"],
            project_id=context["project_id"],
            user_id=context["user"],
            now=context["now"],
        )
        return True
    # Not only its own exceptions: two restrictions that fail at once raise another one.
    except Exception:
        return False


def made(parts):
    macaroon = pymacaroons.Macaroon(
        location=parts["location"],
        identifier=parts["identifier"],
        key=parts["key"],
        version=pymacaroons.MACAROON_V2,
    )
    for caveat in parts["caveats"]:
        macaroon.add_first_party_caveat(caveat)
    return "pre-" + macaroon.serialize()


def restricted(parts):
    token = Token.create(domain=parts["location"], identifier=parts["identifier"], key=parts["key"], prefix="pre")
    for arguments in parts["restrictions"]:
        token.restrict(**arguments)
    return token.dump()


asked = json.load(sys.stdin)
json.dump(
    {
        "checks": [[accepts(one["token"], one["key"], context) for context in one["contexts"]] for one in asked["checks"]],
        "made": [made(parts) for parts in asked["make"]],
        "restricted": [restricted(parts) for parts in asked["restrict"]],
    },
    sys.stdout,
)
