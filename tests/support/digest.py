"""What is the right answer to a digest challenge?  RFC 7616, with MD5 or SHA-256, with or without qop."""

import hashlib


def response(user, password, method, uri, challenge, cnonce="6b8b4567", count="00000001"):
    """The `response` field for these credentials."""
    algorithm = challenge.get("algorithm", "MD5").upper()
    new = hashlib.sha256 if algorithm.startswith("SHA-256") else hashlib.md5

    def hashed(text):
        return new(text.encode()).hexdigest()

    secret = hashed(f"{user}:{challenge['realm']}:{password}")
    request = hashed(f"{method}:{uri}")
    if "qop" not in challenge:
        return hashed(f"{secret}:{challenge['nonce']}:{request}")
    return hashed(f"{secret}:{challenge['nonce']}:{count}:{cnonce}:auth:{request}")


def authorization(user, password, method, uri, challenge):
    """The value of an Authorization header."""
    fields = [f'username="{user}"', f'realm="{challenge["realm"]}"', f'nonce="{challenge["nonce"]}"', f'uri="{uri}"']
    fields.append(f'response="{response(user, password, method, uri, challenge)}"')
    if "algorithm" in challenge:
        fields.append(f"algorithm={challenge['algorithm']}")
    if "opaque" in challenge:
        fields.append(f'opaque="{challenge["opaque"]}"')
    if "qop" in challenge:
        fields += ["qop=auth", "nc=00000001", 'cnonce="6b8b4567"']
    return "Digest " + ", ".join(fields)


def fits(user, password, method, answer, challenge):
    """Is `answer` (the fields of an Authorization header) what these credentials give?"""
    return answer.get("username") == user and answer.get("response") == response(
        user, password, method, answer["uri"], challenge, answer.get("cnonce", ""), answer.get("nc", "")
    )
