"""An RSA key, its JWKS and one RS256 access token, made with openssl, so that no Python package is needed."""

import base64
import json
import subprocess
import time
from pathlib import Path

ISSUER = "https://bench.example"
AUDIENCE = "bench-api"
LIFETIME_SECONDS = 24 * 3600


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


def make(folder):
    """Writes `jwks.json` into the folder and returns a token that it verifies, good for a day."""
    key = Path(folder) / "bench.key"
    _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(key))
    modulus = _openssl("rsa", "-in", str(key), "-noout", "-modulus").decode().strip().removeprefix("Modulus=")
    jwk = {
        "kty": "RSA",
        "kid": "bench",
        "use": "sig",
        "alg": "RS256",
        "n": _base64url(bytes.fromhex(modulus)),
        "e": _base64url((65537).to_bytes(3, "big")),
    }
    (Path(folder) / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "user-4711",
        "role": "customer",
        "iat": now,
        "nbf": now - 60,
        "exp": now + LIFETIME_SECONDS,
    }
    header = {"alg": "RS256", "typ": "JWT", "kid": "bench"}
    signed = ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    signature = _openssl("dgst", "-sha256", "-sign", str(key), data=signed.encode())
    return f"{signed}.{_base64url(signature)}"
