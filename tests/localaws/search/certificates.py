"""Owns the certificates of the gate: an authority made for one run, and what the gate shows, good for this machine only."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..errors import LocalError

_DAYS = "30"
_AUTHORITY = """
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = emite-connect local authority
[extensions]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
"""
_GATE = """
[req]
prompt = no
distinguished_name = name
[name]
CN = 127.0.0.1
[extensions]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
"""


@dataclass(frozen=True)
class Certificates:
    """`trusted`: what functions trust; and the gate's own with its key."""

    trusted: Path
    gate: Path
    key: Path


def make(directory: Path, others_are_trusted: bool) -> Certificates:
    """Makes new ones in that directory. Functions trust this machine's authorities only where the Connect endpoint needs them: each process
    reads them all, which takes longer than its work. With the `openssl` command, which whoever has Python's `ssl` is likely to have too."""
    if not shutil.which("openssl"):
        raise LocalError("The local AWS needs the `openssl` command, for the TLS of its search domains. Install OpenSSL.")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "authority.cnf").write_text(_AUTHORITY, encoding="ascii")
    (directory / "gate.cnf").write_text(_GATE, encoding="ascii")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl(directory, "req", "-x509", "-new", *key, "-keyout", "authority.key", "-out", "authority.pem", "-days", _DAYS,
             "-config", "authority.cnf")
    _openssl(directory, "req", "-new", *key, "-keyout", "gate.key", "-out", "gate.csr", "-config", "gate.cnf")
    _openssl(directory, "x509", "-req", "-in", "gate.csr", "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial",
             "-out", "gate.pem", "-days", _DAYS, "-extfile", "gate.cnf", "-extensions", "extensions")
    trusted = directory / "trusted.pem"
    others = _trusted_already() if others_are_trusted else ""
    trusted.write_text(others + (directory / "authority.pem").read_text(encoding="ascii"), encoding="utf-8")
    return Certificates(trusted, directory / "gate.pem", directory / "gate.key")


def context(certificates: Certificates) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # As the stack's domains do (Policy-Min-TLS-1-2-2019-07).
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(certificates.gate, certificates.key)
    made.set_alpn_protocols(["http/1.1"])
    return made


def _trusted_already() -> str:
    """What SSL_CERT_FILE takes the place of."""
    default = ssl.get_default_verify_paths()
    for path in (os.environ.get("SSL_CERT_FILE"), default.cafile, default.openssl_cafile):
        if path and Path(path).is_file():
            return Path(path).read_text(encoding="utf-8").rstrip() + "\n"
    return ""


def _openssl(directory: Path, *arguments: str) -> None:
    ran = subprocess.run(["openssl", *arguments], cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, errors="replace")
    if ran.returncode != 0:
        raise LocalError(f"`openssl {' '.join(arguments)}` failed:\n{ran.stdout.strip()}")
