"""The environment in which an unmodified Azure client finds the simulator."""

import os
from pathlib import Path

from simulator.control import IDENTITY_PATH, vault_urls
from simulator.entra import Issuer
from simulator.world import World


def environment(world: World, issuer: Issuer, url: str, ca: Path) -> dict[str, str]:
    """The variables, complete: they win over whatever certificates and proxies the machine has set."""
    return {
        "SIMULATOR_URL": url,
        "HTTPS_PROXY": url,
        "https_proxy": url,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "SSL_CERT_FILE": str(ca),
        # Python trusts the directory besides the file: this one holds nothing else.
        "SSL_CERT_DIR": str(ca.parent),
        "REQUESTS_CA_BUNDLE": str(ca),
        "CURL_CA_BUNDLE": str(ca),
        "IDENTITY_ENDPOINT": f"{url}{IDENTITY_PATH}",
        "IDENTITY_HEADER": issuer.identity_header,
        "AZURE_TENANT_ID": world.tenant,
        "AZURE_SUBSCRIPTION_ID": world.subscription,
        "AZURE_AUTHORITY_HOST": f"https://{world.cloud.login}",
        "ROTATION_VAULTS": ",".join(vault_urls(world)),
    }


def write_environment(path: Path, variables: dict[str, str]) -> None:
    """Write `NAME=value` lines in one step, so that a reader sees all of them or no file."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    draft.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    draft.replace(path)
