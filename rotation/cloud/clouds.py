"""Azure's clouds: the same services under other names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cloud:
    """One of Azure's clouds, by the names that its services answer to."""

    name: str
    """As the Azure CLI spells it."""
    authority: str
    arm: str
    arm_scope: str
    vault_suffix: str
    storage_suffix: str


PUBLIC = Cloud(
    name="AzureCloud",
    authority="login.microsoftonline.com",
    arm="https://management.azure.com",
    arm_scope="https://management.azure.com/.default",
    vault_suffix="vault.azure.net",
    storage_suffix="core.windows.net",
)
CHINA = Cloud(
    name="AzureChinaCloud",
    authority="login.chinacloudapi.cn",
    arm="https://management.chinacloudapi.cn",
    arm_scope="https://management.chinacloudapi.cn/.default",
    vault_suffix="vault.azure.cn",
    storage_suffix="core.chinacloudapi.cn",
)
US_GOVERNMENT = Cloud(
    name="AzureUSGovernment",
    authority="login.microsoftonline.us",
    arm="https://management.usgovcloudapi.net",
    # Not a slip: the audience is not the host here, see get_arm_endpoints of azure-mgmt-core.
    arm_scope="https://management.core.usgovcloudapi.net/.default",
    vault_suffix="vault.usgovcloudapi.net",
    storage_suffix="core.usgovcloudapi.net",
)

CLOUDS = {cloud.name: cloud for cloud in (PUBLIC, CHINA, US_GOVERNMENT)}
