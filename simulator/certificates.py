"""A certificate authority that exists for one run, and the certificates of the hosts it plays."""

import ssl
from pathlib import Path

import trustme


class Authority:
    """Makes a server's TLS settings for a host name on demand; one certificate per parent domain."""

    def __init__(self) -> None:
        self._ca = trustme.CA(organization_name="Simulator")
        self._contexts: dict[str, ssl.SSLContext] = {}

    def write(self, path: Path) -> None:
        """Write the certificate that clients have to trust, and nothing else."""
        self._ca.cert_pem.write_to_path(path)

    def context(self, host: str) -> ssl.SSLContext:
        """The settings for a server that is called `host`."""
        domain = host.partition(".")[2]
        if domain not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_alpn_protocols(["http/1.1"])
            self._ca.issue_cert(f"*.{domain}").configure_cert(context)
            self._contexts[domain] = context
        return self._contexts[domain]
