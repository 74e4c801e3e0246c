"""What the environment says, read once and checked as a whole; nothing else looks at the environment."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Self, TypeVar
from urllib.parse import SplitResult, parse_qs, urlsplit

from rotation.cloud.clouds import CLOUDS, Cloud
from rotation.durations import format_duration, parse_duration
from rotation.errors import BadInput, BadSettings
from rotation.model import Limits, ProbeMode, Sensitive
from rotation.quoting import HIDDEN, looks_pasted

T = TypeVar("T")

_HARMLESS = re.compile(r"(?!.*[A-Za-z0-9+]{40})[\w /.:*,@-]{1,200}")
"""Anything may be pasted into a setting, and complaints are logged; this holds neither a key nor a signature."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable: what it says where nobody sets it, and what it may look like."""

    name: str
    default: str
    example: str


SETTINGS = (
    Setting("ROTATION_VAULTS", "", "kv-orders,kv-billing"),
    Setting("ROTATION_ACCOUNTS", "", "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/orders"),
    Setting("ROTATION_SCHEDULE", "0 */15 * * * *", "0 */15 * * * *"),
    Setting("ROTATION_AUDIT_SCHEDULE", "0 17 3 * * *", "0 17 3 * * *"),
    Setting("ROTATION_OVERLAP", "P2D", "P2D"),
    Setting("ROTATION_GRACE", "PT15M", "PT15M"),
    Setting("ROTATION_PROBE", "try", "try"),
    Setting("ROTATION_PROBE_TIMEOUT", "PT1M", "PT1M"),
    Setting("ROTATION_CONCURRENCY", "16", "16"),
    Setting("ROTATION_LEASES", "", "https://storders.blob.core.windows.net/rotation-leases"),
    Setting("AZURE_CLIENT_ID", "", "00000000-0000-0000-0000-000000000000"),
    Setting("AZURE_CLOUD", "AzureCloud", "AzureCloud"),
    Setting("AzureWebJobsStorage", "", "UseDevelopmentStorage=true"),
    Setting("AzureWebJobsStorage__accountName", "", "stordersapp"),
    Setting("AzureWebJobsStorage__blobServiceUri", "", "https://stordersapp.blob.core.windows.net"),
)
"""Every variable that we read; docs/settings.md explains each."""

OF_DEPLOYMENT = ("ROTATION_VAULT_IDS", "ROTATION_ACCOUNT_IDS")
"""What `azd env get-values` has beside them, for the templates of infra/."""

OWN_CONNECTIONS = (
    "AzureWebJobsStorage",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "DEPLOYMENT_STORAGE_CONNECTION_STRING",
)
"""The variables through which the Functions host opens storage accounts of its own with a key."""

LEASE_CONTAINER = "rotation-leases"
"""The container in the host storage where leases are, unless ROTATION_LEASES names another one."""

_PREFIX = "ROTATION_"

_MOST_AT_ONCE = 256
_LONGEST_PROBE = timedelta(minutes=10)
"""A pass ends well within the half hour after which the host ends it; what waits longer is staged."""

_VAULT_NAME = re.compile(r"[a-z](?:-?[a-z0-9])+", re.IGNORECASE | re.ASCII)
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SCOPE = re.compile(
    rf"/subscriptions/{_GUID.pattern}(?:/resourceGroups/[^/]+(?:/providers/[^/]+/[^/]+/[^/]+)?)?", re.IGNORECASE
)
_CONTAINER_NAME = re.compile(r"(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*")
_BLOBS = (*(f".blob.{cloud.storage_suffix}" for cloud in CLOUDS.values()), ".blob.storage.azure.net")
_FIELD = re.compile(r"\w+=\S*", re.ASCII)
_KEY = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_HERE = ("127.0.0.1", "localhost")
_REFERENCE = "@Microsoft.KeyVault("
_SCHEDULE = re.compile(r"[0-9*/,-]+(?: +[0-9*/,-]+){3}(?: +[0-9A-Za-z*/,-]+){2}")
_NUMBER = re.compile(r"[0-9]+")
_HIGHEST = (59, 59, 23, 31, 12, 6)
"""What the fields of a schedule go up to."""


@dataclass(frozen=True, slots=True)
class Container:
    """A blob container: at a URL, or by its `name` at the account of a connection string."""

    address: Sensitive
    setting: str
    """Which variable says so; errors name it, since the address may carry a signature."""
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one process."""

    vaults: Mapping[str, str]
    """The URLs of the allowed vaults by their names, which are in lower case."""
    cloud: Cloud
    schedule: str
    audit_schedule: str
    grace: timedelta
    concurrency: int
    limits: Limits
    leases: Container | None
    """Where leases are; None for leases that only this process knows of."""
    client_id: str | None
    own_storage: frozenset[str]
    """The storage accounts that this app opens with one of their keys, by name in lower case."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read all settings; raises BadSettings with every complaint at once."""
        read = _Reader(environment)
        cloud = read("AZURE_CLOUD", _cloud)
        containers = (
            read("ROTATION_LEASES", _container),
            read("AzureWebJobsStorage", _host_container),
            read("AzureWebJobsStorage__blobServiceUri", _container_at),
            read("AzureWebJobsStorage__accountName", lambda name: _container_of(name, cloud)),
        )
        settings = cls(
            cloud=cloud,
            vaults=read("ROTATION_VAULTS", lambda text: _vaults(text, cloud)),
            limits=Limits(
                overlap=read("ROTATION_OVERLAP", parse_duration),
                probe=read("ROTATION_PROBE", _probe_mode),
                probe_timeout=read("ROTATION_PROBE_TIMEOUT", _probe_timeout),
                accounts=read("ROTATION_ACCOUNTS", _scopes),
            ),
            schedule=read("ROTATION_SCHEDULE", _schedule),
            audit_schedule=read("ROTATION_AUDIT_SCHEDULE", _schedule),
            grace=read("ROTATION_GRACE", parse_duration),
            concurrency=read("ROTATION_CONCURRENCY", _concurrency),
            client_id=read("AZURE_CLIENT_ID", _client_id),
            leases=next(filter(None, containers), None),
            own_storage=_own_storage(environment),
        )
        readable = not any(c.startswith(("ROTATION_GRACE:", "ROTATION_OVERLAP:")) for c in read.complaints)
        if readable and environment.get("ROTATION_GRACE") and settings.grace > settings.limits.overlap:
            read.complaints.append(f"ROTATION_GRACE: it is {settings._beyond_overlap(settings.grace)}; shorten it")
        if read.complaints:
            raise BadSettings("\n".join(read.complaints))
        return settings

    def granted(self, grace: timedelta | None) -> timedelta:
        """The grace that somebody asks for, or else that of the settings; raises BadInput for one beyond the overlap.

        A slip such as P10D for PT10M would leave a leaked key alive for days.
        """
        if grace is None:
            return self.grace
        if grace > self.limits.overlap:
            raise BadInput(
                f"the grace is {self._beyond_overlap(grace)}; shorten it, or ask for a forced rotation instead, "
                "which keeps the key that it replaces for the overlap"
            )
        return grace

    def _beyond_overlap(self, grace: timedelta) -> str:
        """Say how a grace is longer than the overlap."""
        return f"{format_duration(grace)}, longer than ROTATION_OVERLAP, {format_duration(self.limits.overlap)}"


class _Reader:
    """Reads one setting after the other and remembers what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._settings = {setting.name: setting for setting in SETTINGS}
        self.complaints = _misspelt(environment)

    def __call__(self, name: str, parse: Callable[[str], T]) -> T:
        """Parse a setting; a bad one is noted and read as its example, so that the others are looked at too.

        An empty variable counts as unset: templates cannot leave one out.
        """
        setting = self._settings[name]
        text = self._environment.get(name, "").strip() or setting.default
        try:
            if text.startswith(_REFERENCE):
                raise ValueError("the platform could not resolve this reference to Key Vault")  # noqa: TRY301  as others
            return parse(text)
        except ValueError as complaint:
            self.complaints.append(f"{name}: {complaint}; for example {setting.example}")
            return parse(setting.example)


def _misspelt(environment: Mapping[str, str]) -> list[str]:
    """Complain of variables that look like ours: who sets one means it to do something."""
    ours = [setting.name for setting in SETTINGS if setting.name.startswith(_PREFIX)]
    strange = [name for name in environment if name.upper().startswith(_PREFIX) and name not in (*ours, *OF_DEPLOYMENT)]
    return [f"{_named(name)}: no such setting; {_meant(name, ours)}" for name in sorted(strange)]


def _meant(name: str, ours: Sequence[str]) -> str:
    """Which one it may be, by what stands behind the prefix that all of them have."""
    names = {setting.removeprefix(_PREFIX): setting for setting in ours}
    for close in get_close_matches(name.upper().removeprefix(_PREFIX), names, 1):
        return f"did you mean {names[close]}?"
    return f"there is {', '.join(ours)}"


def _named(name: str) -> str:
    return HIDDEN if looks_pasted(name) else name


def _quoted(text: str) -> str:
    return repr(text) if _HARMLESS.fullmatch(text) else "what stands there"


def _entries(text: str, parse: Callable[[str], T]) -> list[T]:
    """Parse what stands between commas; raises ValueError with the complaints about all of it."""
    parsed, complaints = [], []
    for number, entry in enumerate(filter(None, map(str.strip, text.split(","))), start=1):
        try:
            parsed.append(parse(entry))
        except ValueError as complaint:
            complaints.append(f"entry {number}: {complaint}")
    if complaints:
        raise ValueError("; ".join((*complaints, "entries are separated by commas")))
    return parsed


def _cloud(text: str) -> Cloud:
    for name, cloud in CLOUDS.items():
        if name.lower() == text.lower():
            return cloud
    raise ValueError(f"{_quoted(text)} is none of {', '.join(CLOUDS)}")


def _vaults(text: str, cloud: Cloud) -> Mapping[str, str]:
    names = _entries(text, lambda entry: _vault_name(entry, cloud))
    if not names:
        raise ValueError("no vault is named")
    return {name: f"https://{name}.{cloud.vault_suffix}" for name in names}


def _vault_name(entry: str, cloud: Cloud) -> str:
    """The name of a vault that is given by name or URL; the token that we send it is good for all of them."""
    name = entry.lower()
    if "/" in name or "." in name:
        url = urlsplit(name)
        name, _, suffix = url.netloc.removesuffix(":443").partition(".")
        if url.scheme != "https" or suffix != cloud.vault_suffix or url.path.strip("/") or url.query:
            raise ValueError(f"{_quoted(entry)} is not https://NAME.{cloud.vault_suffix}")
    if not _VAULT_NAME.fullmatch(name) or len(name) not in range(3, 25):
        raise ValueError(f"{_quoted(entry)} is not the name of a vault")
    return name


def _scopes(text: str) -> tuple[str, ...]:
    return tuple(_entries(text, _scope))


def _scope(entry: str) -> str:
    scope = entry.rstrip("/")
    if not _SCOPE.fullmatch(scope):
        raise ValueError(f"{_quoted(entry)} is not the resource id of a subscription, resource group or account")
    return scope


def _schedule(text: str) -> str:
    values = zip(text.split(), _HIGHEST, strict=False)
    if not _SCHEDULE.fullmatch(text) or any(
        int(number) > highest for field, highest in values for number in _NUMBER.findall(field)
    ):
        raise ValueError(f"{_quoted(text)} is not an NCRONTAB expression of six fields, the first of which are seconds")
    return text


def _probe_mode(text: str) -> ProbeMode:
    if text.lower() not in tuple(ProbeMode):
        raise ValueError(f"{_quoted(text)} is none of {', '.join(ProbeMode)}")
    return ProbeMode(text.lower())


def _probe_timeout(text: str) -> timedelta:
    timeout = parse_duration(text)
    if timeout > _LONGEST_PROBE:
        raise ValueError(f"{_quoted(text)} is longer than {format_duration(_LONGEST_PROBE)}")
    return timeout


def _concurrency(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) in range(1, _MOST_AT_ONCE + 1)):
        raise ValueError(f"{_quoted(text)} is not a number from 1 to {_MOST_AT_ONCE}")
    return int(text)


def _client_id(text: str) -> str | None:
    if text and not _GUID.fullmatch(text):
        raise ValueError(f"{_quoted(text)} is not the client id of an identity")
    return text or None


# What follows may carry a key or a signature, so no complaint repeats it.


def _container(text: str) -> Container | None:
    if not text:
        return None
    url = _url(text)
    # An emulator has the name of the account in front.
    *account, name = url.path.strip("/").split("/")
    if len(account) > (url.hostname in _HERE) or not name:
        raise ValueError("the URL names no container, or more than that")
    if not _CONTAINER_NAME.fullmatch(name):
        raise ValueError("the URL names no container: 3 to 63 small letters, digits and single hyphens")
    return Container(Sensitive(text), "ROTATION_LEASES")


def _container_at(text: str) -> Container | None:
    if not text:
        return None
    url = _url(text)
    if url.query:
        raise ValueError("the URL of a service that is opened by an identity has no query")
    return Container(Sensitive(f"{url.geturl().rstrip('/')}/{LEASE_CONTAINER}"), "AzureWebJobsStorage__blobServiceUri")


def _container_of(text: str, cloud: Cloud) -> Container | None:
    if not text:
        return None
    if not (text.isascii() and text.isalnum()):
        raise ValueError("not the name of a storage account")
    address = f"https://{text.lower()}.blob.{cloud.storage_suffix}/{LEASE_CONTAINER}"
    return Container(Sensitive(address), "AzureWebJobsStorage__accountName")


def _host_container(text: str) -> Container | None:
    if not text:
        return None
    fields = _fields(text)
    if not fields.keys() & {"accountname", "blobendpoint", "usedevelopmentstorage"}:
        raise ValueError("not a connection string of a storage account")
    # The SDK is as strict.
    if not all(map(_FIELD.fullmatch, text.rstrip(";").split(";"))):
        raise ValueError("the connection string is not made of Name=value, with one semicolon in between")
    if fields.get("usedevelopmentstorage", "true") != "true":
        raise ValueError("the connection string has UseDevelopmentStorage, and something else than true for it")
    if not fields.keys() & {"accountkey", "sharedaccesssignature", "usedevelopmentstorage"}:
        raise ValueError("the connection string has neither AccountKey nor SharedAccessSignature")
    if not _KEY.fullmatch(fields.get("accountkey", "")):
        raise ValueError("the AccountKey in the connection string is not what a key looks like, which is base64")
    return Container(Sensitive(text), "AzureWebJobsStorage", LEASE_CONTAINER)


def _url(text: str) -> SplitResult:
    """The URL of blobs, which are sent our token, or of anything that is opened by a signature in it."""
    url = urlsplit(text)
    signed = "sig" in parse_qs(url.query)
    if url.scheme != "https" and url.hostname not in _HERE:
        raise ValueError("not an https URL")
    if not url.hostname:
        raise ValueError("the URL names no host")
    if url.username is not None:
        raise ValueError("the URL has a name before its host")
    if not signed and url.hostname not in _HERE and not url.hostname.endswith(_BLOBS):
        raise ValueError("the URL is not one of blobs in Azure, and has no signature")
    if not signed and url.scheme != "https":
        raise ValueError("no token is sent without encryption; an emulator needs a signature in the URL")
    return url


def _own_storage(environment: Mapping[str, str]) -> frozenset[str]:
    """The accounts behind the connection strings of the host, and that of leases that are opened by a signature.

    A shared access signature dies with its key, unless it is that of a user (skoid).
    """
    connections = (_fields(environment.get(name, "")) for name in OWN_CONNECTIONS)
    accounts = {
        fields.get("accountname", "").lower() or _account_at(fields.get("blobendpoint", ""))
        for fields in connections
        if fields.keys() & {"accountkey", "sharedaccesssignature"}
    }
    leases = environment.get("ROTATION_LEASES", "")
    query = parse_qs(leases.partition("?")[2])
    if "sig" in query and "skoid" not in query:
        accounts.add(_account_at(leases))
    return frozenset(accounts)


def _account_at(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").partition(".")[0]
    except ValueError:
        # Whoever reads the variable complains of it.
        return ""


def _fields(connection_string: str) -> Mapping[str, str]:
    parts = (part.partition("=") for part in connection_string.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in parts if value}
