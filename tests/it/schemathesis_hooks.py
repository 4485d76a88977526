"""What schemathesis cannot make up: a token of ours for every call, and ids of what is there.

KNOWN_IDS holds ids by the route they belong to; half of the calls of such a route get one of them. SPENT_TOKENS holds
tokens for the routes that end or replace the one that is shown; every call of those takes the next one.
"""

import itertools
import json
import os

import schemathesis

TOKEN = os.environ["TOKEN"]
KNOWN = json.loads(os.environ["KNOWN_IDS"])
SPENT = iter(json.loads(os.environ["SPENT_TOKENS"]))
COUNT = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    path, turn = case.operation.path, next(COUNT)
    spends = path.startswith("/api/v1/tokens/self") and case.method != "GET"
    case.headers["Authorization"] = f"Bearer {next(SPENT, 'none-is-left') if spends else TOKEN}"
    # From an address of its own: what is refused here and there must not have all the rest refused unseen.
    case.headers["X-Forwarded-For"] = f"2001:db8:{turn % 0xffff + 1:x}::1"
    # A key of a service, which would be another credential than the token.
    case.headers.pop("X-API-Key", None)
    for prefix, ids in KNOWN.items():
        if path.startswith(prefix) and "id" in case.path_parameters and ids and turn % 2:
            case.path_parameters["id"] = ids[turn // 2 % len(ids)]
