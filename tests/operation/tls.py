"""A proxy that speaks TLS with a certificate of its own, in a process of its own, as nginx or Caddy would."""

import datetime as dt
import ipaddress
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.operation.running import ROOT

NAME = "localhost"


@dataclass(frozen=True)
class TlsProxy:
    """Where it listens, and the certificate that a client has to trust."""

    address: str
    certificate: Path
    process: "subprocess.Popen[str]"

    def stands_before(self, upstream: str) -> None:
        """Say what everything is passed on to."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{urlsplit(upstream).port}\n")
        self.process.stdin.flush()


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a key, and a certificate for this machine that is signed with it; return both files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    moment = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName(
        [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - dt.timedelta(days=1))
        .not_valid_after(moment + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return public, private


@contextmanager
def tls_proxying(folder: Path) -> Iterator[TlsProxy]:
    """Listen on a free port for as long as the block lasts; the caller says what is behind it."""
    public, private = write_certificate(folder)
    command = [sys.executable, "-m", "tests.operation.tls_process", str(public), str(private)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()  # nothing comes where it could not start
            assert port, "the proxy did not start"
            yield TlsProxy(f"https://{NAME}:{port}", public, process)
        finally:
            process.kill()
