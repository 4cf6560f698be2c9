"""An OpenID Connect provider that lets everybody in as ann@example.org. For tests only."""

import base64
import hashlib
import json
import subprocess
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ISSUER = "http://issuer:9000"
KEY = "/keys/key.pem"


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments, given=None):
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout


openssl("genrsa", "-out", KEY, "2048")
modulus = openssl("rsa", "-in", KEY, "-noout", "-modulus").decode().strip().split("=")[1]
PUBLIC = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one", "n": encode(bytes.fromhex(modulus)), "e": "AQAB"}
NONCES = {}


def id_token(nonce):
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": "ann", "aud": "gateway", "iat": now, "exp": now + 600}
    claims |= {"email": "ann@example.org", "email_verified": True}
    if nonce:
        claims["nonce"] = nonce
    head = {"alg": "RS256", "typ": "JWT", "kid": "one"}
    text = ".".join(encode(json.dumps(part).encode()) for part in (head, claims))
    return text + "." + encode(openssl("dgst", "-sha256", "-sign", KEY, given=text.encode()))


class Issuer(BaseHTTPRequestHandler):
    def answer(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        if path == "/.well-known/openid-configuration":
            ends = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
            ends = {f"{name}_endpoint": f"{ISSUER}/{path}" for name, path in ends.items()}
            self.answer({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", "response_types_supported": ["code"],
                         "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"], **ends})
        elif path == "/keys":
            self.answer({"keys": [PUBLIC]})
        elif path == "/authorize":
            code = hashlib.sha256(query.encode()).hexdigest()
            NONCES[code] = asked.get("nonce")
            back = urllib.parse.urlencode({"code": code, "state": asked["state"]})
            self.send_response(302)
            self.send_header("location", f"{asked['redirect_uri']}?{back}")
            self.end_headers()
        else:
            self.answer({"sub": "ann", "email": "ann@example.org", "email_verified": True})

    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
        token = id_token(NONCES.pop(form["code"]))
        self.answer({"access_token": "access", "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("", 9000), Issuer).serve_forever()
