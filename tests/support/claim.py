"""`./box claim`: becomes the operator of a new box with the code that its console shows, and makes an API key."""

import argparse
import getpass
import json
import ssl
import sys
import urllib.error
import urllib.request


class Box:
    """HTTPS to a box whose certificate is its own: the console shows the fingerprint to compare."""

    def __init__(self, host):
        self.origin, self.key = f"https://{host}", None
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE

    def ask(self, method, path, body=None, limit=60):
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        request = urllib.request.Request(self.origin + path, method=method, headers=headers, data=json.dumps(body).encode() if body is not None else None)
        with urllib.request.urlopen(request, timeout=limit, context=self.context) as answer:
            return answer.read()

    def post(self, path, body):
        return json.loads(self.ask("POST", path, body) or b"null")


def main():
    options = argparse.ArgumentParser(prog="./box claim", description=__doc__)
    options.add_argument("code")
    options.add_argument("email")
    options.add_argument("--host", default="10.77.0.10")
    given = options.parse_args()
    box = Box(given.host)
    try:
        print(json.dumps(box.post("/v1/setup/claim", {"code": given.code, "email": given.email, "password": getpass.getpass("new password: ")}), indent=2))
    except urllib.error.HTTPError as refusal:
        sys.exit(f"the box says {refusal.code}: {refusal.read().decode()}")


if __name__ == "__main__":
    main()
