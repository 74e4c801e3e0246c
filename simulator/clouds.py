"""The names under which Azure's services are reached, in the public and the sovereign clouds."""

from dataclasses import dataclass
from enum import StrEnum


class Plane(StrEnum):
    """What a request is for; latency and default fault bodies are chosen by it."""

    SIGN_IN = "sign_in"
    IDENTITY = "identity"
    CONTROL = "control"
    VAULT = "vault"
    BLOB = "blob"
    QUEUE = "queue"
    BATCH = "batch"
    WEBPUBSUB = "webpubsub"


@dataclass(frozen=True, slots=True)
class Cloud:
    """One cloud's host names and token audiences."""

    name: str
    management: str
    management_audiences: tuple[str, ...]
    vault: str
    storage: str
    batch: str
    webpubsub: str
    login: str
    challenge_login: str


PUBLIC = Cloud(
    name="public",
    management="management.azure.com",
    management_audiences=("https://management.azure.com", "https://management.core.windows.net"),
    vault="vault.azure.net",
    storage="core.windows.net",
    batch="batch.azure.com",
    webpubsub="webpubsub.azure.com",
    login="login.microsoftonline.com",
    challenge_login="login.windows.net",
)
CHINA = Cloud(
    name="china",
    management="management.chinacloudapi.cn",
    management_audiences=("https://management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn"),
    vault="vault.azure.cn",
    storage="core.chinacloudapi.cn",
    batch="batch.chinacloudapi.cn",
    webpubsub="webpubsub.azure.cn",
    login="login.chinacloudapi.cn",
    challenge_login="login.chinacloudapi.cn",
)
US_GOVERNMENT = Cloud(
    name="usgov",
    management="management.usgovcloudapi.net",
    management_audiences=(
        "https://management.usgovcloudapi.net",
        "https://management.core.usgovcloudapi.net",
    ),
    vault="vault.usgovcloudapi.net",
    storage="core.usgovcloudapi.net",
    batch="batch.usgovcloudapi.net",
    webpubsub="webpubsub.azure.us",
    login="login.microsoftonline.us",
    challenge_login="login.microsoftonline.us",
)
CLOUDS = {cloud.name: cloud for cloud in (PUBLIC, CHINA, US_GOVERNMENT)}

# A client may discover its authority at any of these, whatever cloud its resources are in.
SIGN_IN_HOSTS = frozenset(
    {
        "login.microsoftonline.com",
        "login.windows.net",
        "login.microsoft.com",
        "sts.windows.net",
        "login.chinacloudapi.cn",
        "login.partner.microsoftonline.cn",
        "login.microsoftonline.us",
    }
)


@dataclass(frozen=True, slots=True)
class Address:
    """The service a host name belongs to, and the resource it names (empty where it names none)."""

    plane: Plane
    resource: str = ""


def locate(host: str, cloud: Cloud) -> Address | None:
    """The service behind a host name of this cloud, or None when it is not one we play."""
    host = host.lower()
    if host in SIGN_IN_HOSTS:
        return Address(Plane.SIGN_IN)
    if host == cloud.management:
        return Address(Plane.CONTROL)
    resource, _, domain = host.partition(".")
    planes = {
        cloud.vault: Plane.VAULT,
        f"blob.{cloud.storage}": Plane.BLOB,
        f"queue.{cloud.storage}": Plane.QUEUE,
        cloud.webpubsub: Plane.WEBPUBSUB,
    }
    region, _, rest = domain.partition(".")
    plane = Plane.BATCH if region and rest == cloud.batch else planes.get(domain)
    return Address(plane, resource) if plane else None
