"""What the environment says, and what is said where it says nothing or nonsense."""

import base64
import os
from datetime import timedelta

import pytest

from rotation.cloud.clouds import CHINA, PUBLIC, US_GOVERNMENT, Cloud
from rotation.errors import BadSettings
from rotation.model import Limits, ProbeMode
from rotation.quoting import HIDDEN
from rotation.settings import OF_DEPLOYMENT, SETTINGS, Settings

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/orders"


def read(**environment: str) -> Settings:
    """The settings of an environment that names a vault."""
    return Settings.from_environment({"ROTATION_VAULTS": "kv-orders", **environment})


def complaints(**environment: str) -> list[str]:
    """What is wrong with an environment."""
    with pytest.raises(BadSettings) as bad:
        read(**environment)
    return str(bad.value).splitlines()


def test_one_setting_is_enough() -> None:
    """Everything but the vaults has a default, which is what the documentation says."""
    settings = read()

    assert {"kv-orders": "https://kv-orders.vault.azure.net"} == settings.vaults
    assert Limits(timedelta(days=2), ProbeMode.TRY, timedelta(minutes=1), ()) == settings.limits
    assert (PUBLIC, 16, timedelta(minutes=15)) == (settings.cloud, settings.concurrency, settings.grace)
    assert ("0 */15 * * * *", "0 17 3 * * *") == (settings.schedule, settings.audit_schedule)
    assert (None, None, frozenset()) == (settings.leases, settings.client_id, settings.own_storage)


def test_every_setting_is_heard() -> None:
    """Each variable changes what it is named after."""
    settings = read(
        ROTATION_ACCOUNTS=f"{GROUP}/, {GROUP.replace('orders', 'billing')}",
        ROTATION_SCHEDULE="0 0 * * * *",
        ROTATION_AUDIT_SCHEDULE="0 0 4 * * Mon-Fri",
        ROTATION_OVERLAP="P3D",
        ROTATION_GRACE="PT0S",
        ROTATION_PROBE="Required",
        ROTATION_PROBE_TIMEOUT="PT90S",
        ROTATION_CONCURRENCY="4",
        ROTATION_LEASES="https://stone.blob.core.windows.net/leases",
        AZURE_CLIENT_ID="11111111-1111-1111-1111-111111111111",
        AZURE_CLOUD="azureusgovernment",
    )

    accounts = (GROUP, GROUP.replace("orders", "billing"))
    assert Limits(timedelta(days=3), ProbeMode.REQUIRED, timedelta(seconds=90), accounts) == settings.limits
    assert (US_GOVERNMENT, 4, timedelta(0)) == (settings.cloud, settings.concurrency, settings.grace)
    assert ("0 0 * * * *", "0 0 4 * * Mon-Fri") == (settings.schedule, settings.audit_schedule)
    assert "11111111-1111-1111-1111-111111111111" == settings.client_id
    assert settings.leases
    assert "https://stone.blob.core.windows.net/leases" == settings.leases.address.reveal()


def test_an_empty_variable_is_an_unset_one() -> None:
    """Templates write empty strings for what nobody chose."""
    assert read() == read(**{setting.name: "" for setting in SETTINGS if setting.name != "ROTATION_VAULTS"})


def test_every_example_is_good() -> None:
    """What a complaint offers as an example may be copied."""
    for setting in SETTINGS:
        assert read(**{setting.name: setting.example})


@pytest.mark.parametrize(
    ("cloud", "text"),
    [
        (PUBLIC, "kv-one,kv-two"),
        (PUBLIC, " KV-One , https://KV-TWO.vault.azure.net/ ,kv-one, "),
        (PUBLIC, "https://kv-one.vault.azure.net:443,https://kv-two.vault.azure.net"),
        (CHINA, "https://kv-one.vault.azure.cn,kv-two"),
        (US_GOVERNMENT, "kv-one,https://kv-two.vault.usgovcloudapi.net/"),
    ],
)
def test_vaults_are_named_or_addressed(cloud: Cloud, text: str) -> None:
    """S7: names and URLs mean the same, and one vault named twice is one vault."""
    found = read(AZURE_CLOUD=cloud.name, ROTATION_VAULTS=text).vaults

    assert {name: f"https://{name}.{cloud.vault_suffix}" for name in ("kv-one", "kv-two")} == found


@pytest.mark.parametrize(
    "entry",
    [
        "http://kv-one.vault.azure.net",
        "https://kv-one.vault.azure.cn",
        "https://kv-one.vault.azure.net.example.com",
        "https://kv-one.example.com",
        "https://someone@kv-one.vault.azure.net",
        "https://kv-one.vault.azure.net:8443",
        "https://kv-one.vault.azure.net/secrets/some-key",
        "https://vault.azure.net",
        "kv-one.vault.azure.net",
        "kv_one",
        "kv--one",
        "1kv",
        "kv",
        "kv-one-",
        "k" * 25,
    ],
)
def test_what_is_no_vault_of_this_cloud_is_refused(entry: str) -> None:
    """S7: our token goes to the vaults of this cloud and nowhere else."""
    (complaint,) = complaints(ROTATION_VAULTS=f"kv-orders,{entry}")

    assert complaint.startswith(f"ROTATION_VAULTS: entry 2: {entry!r}")
    assert "; entries are separated by commas; for example " in complaint


def test_all_complaints_come_at_once() -> None:
    """A person corrects the settings once, not eleven times; each complaint names its setting and has an example."""
    bad = {
        "ROTATION_VAULTS": " , ",
        "ROTATION_ACCOUNTS": "orders",
        "ROTATION_SCHEDULE": "*/15 * * * *",
        "ROTATION_AUDIT_SCHEDULE": "daily",
        "ROTATION_OVERLAP": "2 days",
        "ROTATION_GRACE": "-PT1M",
        "ROTATION_PROBE": "maybe",
        "ROTATION_PROBE_TIMEOUT": "P1M",
        "ROTATION_CONCURRENCY": "0",
        "ROTATION_LEASES": "leases",
        "AZURE_CLIENT_ID": "me",
        "AZURE_CLOUD": "Azure",
        "AzureWebJobsStorage": "nonsense",
        "AzureWebJobsStorage__accountName": "st.one",
        "AzureWebJobsStorage__blobServiceUri": "ftp://stone",
    }
    found = complaints(**bad)

    assert {setting.name for setting in SETTINGS} == bad.keys()
    assert sorted(bad) == sorted(complaint.partition(":")[0] for complaint in found)
    assert all("; for example " in complaint for complaint in found)


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("ROTATION_VAULTS", ["https://example.com", "kv-orders", "kv-orders/secrets", "kv orders"]),
        ("ROTATION_ACCOUNTS", ["orders", GROUP, "/subscriptions/mine"]),
    ],
)
def test_every_entry_of_a_list_is_looked_at(name: str, entries: list[str]) -> None:
    """Each bad one is named, and no good one, beside one example."""
    (complaint,) = complaints(**{name: ",".join(entries)})

    assert [entry not in ("kv-orders", GROUP) for entry in entries] == [
        f"{entry!r} is" in complaint for entry in entries
    ]
    assert 1 == complaint.count("for example")


@pytest.mark.parametrize("name", ["Rotation_Overlap", "rotation_overlap", "rotation_OVERLAPS"])
def test_a_setting_in_another_casing_is_a_complaint(name: str) -> None:
    """Names are told apart by case, so it would not be read."""
    assert [f"{name}: no such setting; did you mean ROTATION_OVERLAP?"] == complaints(**{name: "P9D"})


def test_a_setting_that_is_misspelt_is_a_complaint() -> None:
    """Its default would be used without a word."""
    assert ["ROTATION_OVERLAPS: no such setting; did you mean ROTATION_OVERLAP?"] == complaints(ROTATION_OVERLAPS="P9D")
    (strange,) = complaints(ROTATION_FOO="1")
    assert strange.startswith("ROTATION_FOO: no such setting; there is ROTATION_VAULTS, ROTATION_ACCOUNTS, ")


def test_a_name_that_looks_like_a_key_is_not_repeated() -> None:
    """S6: who exports what was copied makes a name of it."""
    name = f"ROTATION_{base64.b64encode(os.urandom(64)).decode()}"
    assert [f"{HIDDEN}: no such setting"] == [told.partition(";")[0] for told in complaints(**{name: ""})]


def test_the_variables_of_a_deployment_are_no_mistake() -> None:
    """An operator who takes all values of the azd environment has them, too."""
    assert read() == read(**dict.fromkeys(OF_DEPLOYMENT, "/subscriptions/…"))


def test_a_reference_that_the_platform_did_not_resolve_is_told_as_such() -> None:
    """The app sees the reference itself then."""
    (complaint,) = complaints(ROTATION_LEASES="@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/url)")

    assert complaint.startswith("ROTATION_LEASES: the platform could not resolve this reference to Key Vault; ")


@pytest.mark.parametrize(
    "schedule",
    ["60 * * * * *", "0 0-60 * * * *", "0 0 24 * * *", "0 0 3 32 * *", "0 0 3 * 13 *", "0 0 3 * * 1,7", "x * * * * *"],
)
def test_a_schedule_that_never_comes_is_a_complaint(schedule: str) -> None:
    """The host would not fire, and nobody would miss the sweeps before keys expire."""
    (complaint,) = complaints(ROTATION_SCHEDULE=schedule)

    assert complaint.startswith(f"ROTATION_SCHEDULE: {schedule!r} is not an NCRONTAB expression")


def test_a_probe_does_not_outlast_its_invocation() -> None:
    """The host would end it before what it made is noted."""
    assert timedelta(minutes=10) == read(ROTATION_PROBE_TIMEOUT="PT10M").limits.probe_timeout
    assert 1 == len(complaints(ROTATION_PROBE_TIMEOUT="PT10M1S"))


@pytest.mark.parametrize(
    "path", ["", "/", "/Leases", "/a", "/leases/blob", "/lea--ses", "/-leases", "/account/leases", f"/{'x' * 64}"]
)
def test_leases_are_in_a_container(path: str) -> None:
    """What is no container would be found out by the first rotation only."""
    (complaint,) = complaints(ROTATION_LEASES=f"https://stone.blob.core.windows.net{path}")

    assert complaint.startswith("ROTATION_LEASES: the URL names no container")


@pytest.mark.parametrize(
    "host",
    ["example.com", "stone.dfs.core.windows.net", "stone.blob.core.windows.net.example.com", "blob.core.windows.net"],
)
def test_leases_are_on_blobs_of_azure(host: str) -> None:
    """Our token is sent there; one with a signature gets none."""
    (complaint,) = complaints(ROTATION_LEASES=f"https://{host}/leases?sv=1")
    assert complaint.startswith("ROTATION_LEASES: the URL is not one of blobs in Azure, and has no signature")
    assert read(ROTATION_LEASES=f"https://{host}/leases?sv=1&sig=x").leases

    (complaint,) = complaints(AzureWebJobsStorage__blobServiceUri=f"https://{host}")
    assert complaint.startswith("AzureWebJobsStorage__blobServiceUri: the URL is not one of blobs")


def test_blobs_have_the_names_of_their_cloud() -> None:
    """And those of the accounts that are told by a zone."""
    assert read(ROTATION_LEASES="https://stone.z12.blob.storage.azure.net/leases").leases
    assert read(ROTATION_LEASES="https://stone.blob.core.chinacloudapi.cn/leases", AZURE_CLOUD="AzureChinaCloud").leases


def test_an_emulator_has_the_name_of_its_account_in_front() -> None:
    """Its host tells nothing; and no client sends a token there, as nothing is encrypted."""
    assert read(ROTATION_LEASES="http://127.0.0.1:10000/devstoreaccount1/leases?sig=x").leases
    (complaint,) = complaints(ROTATION_LEASES="http://127.0.0.1:10000/devstoreaccount1/leases")
    assert complaint.startswith("ROTATION_LEASES: no token is sent without encryption")


def test_what_no_client_could_use_is_refused() -> None:
    """It would be found out by the first rotation, and told as something else."""
    (named,) = complaints(ROTATION_LEASES="https://me:s3cret@stone.blob.core.windows.net/leases")
    assert "has a name before its host" in named
    (signed,) = complaints(AzureWebJobsStorage__blobServiceUri="https://stone.blob.core.windows.net/?sv=1&sig=s3cret")
    assert "opened by an identity has no query" in signed
    (mangled,) = complaints(AzureWebJobsStorage="AccountName=stone;AccountKey=s3cret!")
    assert "not what a key looks like" in mangled
    (keyless,) = complaints(AzureWebJobsStorage="AccountName=stone;DefaultEndpointsProtocol=https")
    assert "neither AccountKey nor SharedAccessSignature" in keyless
    assert "s3cret" not in named + signed + mangled


@pytest.mark.parametrize(
    "text",
    [
        "AccountName=stone;AccountKey=czNjcmV0;;bogus",
        "AccountName=stone;;AccountKey=czNjcmV0",
        "AccountName=stone; AccountKey=czNjcmV0",
        "UseDevelopmentStorage=True",
    ],
)
def test_a_garbled_connection_string_is_told_by_its_setting(text: str) -> None:
    """The SDK would complain in the middle of a pass and not say whose it is, or come without the key."""
    (complaint,) = complaints(AzureWebJobsStorage=text)
    assert complaint.startswith("AzureWebJobsStorage: the connection string ")
    assert "czNjcmV0" not in complaint


CONNECTION = "DefaultEndpointsProtocol=https;AccountName=StApp;AccountKey=bm90IGEga2V5;EndpointSuffix=core.windows.net"


@pytest.mark.parametrize(
    ("environment", "address", "name"),
    [
        ({"AzureWebJobsStorage": CONNECTION}, CONNECTION, "rotation-leases"),
        ({"AzureWebJobsStorage": "UseDevelopmentStorage=true"}, "UseDevelopmentStorage=true", "rotation-leases"),
        (
            {"AzureWebJobsStorage__accountName": "stapp"},
            "https://stapp.blob.core.windows.net/rotation-leases",
            None,
        ),
        (
            {"AzureWebJobsStorage__accountName": "stapp", "AZURE_CLOUD": "AzureChinaCloud"},
            "https://stapp.blob.core.chinacloudapi.cn/rotation-leases",
            None,
        ),
        (
            {"AzureWebJobsStorage__blobServiceUri": "https://stapp.blob.core.windows.net/"},
            "https://stapp.blob.core.windows.net/rotation-leases",
            None,
        ),
        (
            {
                "AzureWebJobsStorage": CONNECTION,
                "ROTATION_LEASES": "http://127.0.0.1:10000/devstoreaccount1/leases?sig=x",
            },
            "http://127.0.0.1:10000/devstoreaccount1/leases?sig=x",
            None,
        ),
    ],
)
def test_leases_are_in_the_host_storage_unless_said_otherwise(
    environment: dict[str, str], address: str, name: str | None
) -> None:
    """Instances of the app and the command line meet in the same container without a setting of their own."""
    leases = read(**environment).leases

    assert leases
    assert (address, name) == (leases.address.reveal(), leases.name)


@pytest.mark.parametrize(
    "name", ["AzureWebJobsStorage", "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING", "DEPLOYMENT_STORAGE_CONNECTION_STRING"]
)
def test_the_accounts_that_the_app_itself_opens_are_known(name: str) -> None:
    """Rotating one of them would cut off the app, whichever variable it is opened by."""
    assert {"stapp"} == read(**{name: CONNECTION}).own_storage
    assert {"stapp"} == read(
        **{name: "BlobEndpoint=https://stapp.blob.core.windows.net/;SharedAccessSignature=sv=1"}
    ).own_storage


LEASES = "https://StApp.blob.core.windows.net/leases"


def test_leases_that_a_key_has_signed_for_are_in_storage_of_our_own() -> None:
    """The signature dies with that key, and nothing could be rotated any more."""
    assert {"stapp"} == read(ROTATION_LEASES=f"{LEASES}?sv=1&sig=x").own_storage


@pytest.mark.parametrize(
    "environment",
    [
        {"AzureWebJobsStorage__accountName": "stapp"},
        {"ROTATION_LEASES": LEASES},
        {"ROTATION_LEASES": f"{LEASES}?skoid=00000000-0000-0000-0000-000000000000&sig=x"},
    ],
)
def test_an_app_that_signs_in_owns_no_key(environment: dict[str, str]) -> None:
    """With an identity nothing of the app depends on a key, not even the signature that a user has made."""
    assert frozenset() == read(**environment).own_storage


def test_a_connection_of_the_host_that_is_none_is_left_to_it() -> None:
    """It is not we who open it."""
    garbled = "BlobEndpoint=https://[stapp;SharedAccessSignature=sv=1"
    assert {""} == read(WEBSITE_CONTENTAZUREFILECONNECTIONSTRING=garbled).own_storage


@pytest.mark.parametrize("overlap", ["2", "P2D"])
def test_a_grace_is_compared_with_an_overlap_that_can_be_read(overlap: str) -> None:
    """The example in its place is not what somebody has set."""
    told = complaints(ROTATION_OVERLAP=overlap, ROTATION_GRACE="P5D")
    assert [("ROTATION_OVERLAP" if overlap == "2" else "ROTATION_GRACE")] == [each.partition(":")[0] for each in told]


PASTED_INTO = [setting.name for setting in SETTINGS if setting.name.isupper() and setting.name != "ROTATION_LEASES"]


@pytest.mark.parametrize(
    "environment",
    [
        {"ROTATION_LEASES": "ftp://stone.blob.core.windows.net/leases?sig=SIGNATURE"},
        {"ROTATION_LEASES": "https://stone.blob.core.windows.net?sig=SIGNATURE"},
        {"ROTATION_LEASES": "AccountName=stone;AccountKey=SIGNATURE"},
        {"AzureWebJobsStorage": "AccountKey=SIGNATURE"},
        {"AzureWebJobsStorage__blobServiceUri": "ftp://stone?sig=SIGNATURE"},
        *({name: pasted} for name in PASTED_INTO for pasted in ("AccountName=s;AccountKey=SIGNATURE", "SIGNATURE" * 9)),
        *({name: "https://kv-one.vault.azure.net?sig=SIGNATURE"} for name in PASTED_INTO),
    ],
    ids=lambda environment: next(iter(environment)),
)
def test_no_complaint_repeats_a_secret(environment: dict[str, str]) -> None:
    """S6: complaints are printed and logged."""
    found = complaints(**environment)

    assert [next(iter(environment))] == [complaint.partition(":")[0] for complaint in found]
    assert "SIGNATURE" not in "".join(found)


def test_settings_can_be_printed() -> None:
    """S6: what carries a key shows a fingerprint only."""
    settings = read(
        AzureWebJobsStorage=CONNECTION, ROTATION_LEASES="https://stone.blob.core.windows.net/leases?sig=SIGNATURE"
    )

    assert "bm90IGEga2V5" not in repr(settings)
    assert "SIGNATURE" not in repr(settings)
    assert "kv-orders" in repr(settings)


@pytest.mark.parametrize(("overlap", "grace"), [("P2D", "P3D"), ("PT1M", "PT2M")])
def test_a_grace_is_not_longer_than_the_overlap(overlap: str, grace: str) -> None:
    """A slip in a setting would leave the leaked key of every emergency alive for days."""
    assert [f"ROTATION_GRACE: it is {grace}, longer than ROTATION_OVERLAP, {overlap}; shorten it"] == complaints(
        ROTATION_OVERLAP=overlap, ROTATION_GRACE=grace
    )


def test_who_says_nothing_of_the_grace_may_have_a_short_overlap() -> None:
    """Nobody is told to shorten what they have not given."""
    assert timedelta(minutes=1) == read(ROTATION_OVERLAP="PT1M").limits.overlap
