"""What each resource says where nothing else looks: a slip here deploys an app that never runs, without a word."""

import json
from typing import Any

import pytest

from tests.infra.bicep import INFRA, every, read

OUTPUTS = {
    "alerts": {"actionGroupId": "groupId"},
    "events": {"topicIds": "join(map(topics, topic => topic.id), ',')"},
    "host": {"id": "app.id", "uri": "'https://${app.properties.defaultHostName}'"},
    "identity": {
        "id": "identity.id",
        "principalId": "identity.properties.principalId",
        "clientId": "identity.properties.clientId",
    },
    "monitoring": {"componentId": "component.id"},
    "roles": {
        "roles": "toObject( definitions, definition => definition.kind, "
        "definition => guid(subscription().id, token, definition.kind) )"
    },
    "storage": {"leases": "'${storage.properties.primaryEndpoints.blob}rotation-leases'"},
    "vault": {"location": "vault.location"},
    "watch": {"principalId": "topic.identity.principalId"},
}
"""What the modules put out; what no module is named here puts out nothing."""

OF_SUBSCRIPTIONS = {"main", "subscriptions", "events", "roles", "targets", "operations"}
"""The files that are deployed to a subscription; all others are deployed to a resource group."""

PACKAGE = "'${storage.properties.primaryEndpoints.blob}app-package'"


def made(stem: str, symbol: str) -> Any:
    """The body of a resource."""
    (body,) = (resource.body for resource in read(f"modules/{stem}").resources if resource.symbol == symbol)
    return body


def test_modules_put_out_what_their_names_say() -> None:
    """Two ids that are swapped look alike, and both are strings."""
    outputs = {
        file.path.stem: {name: " ".join(told.split()) for name, told in file.outputs.items()}
        for file in every()
        if file.outputs and file.path.stem != "main"
    }
    assert OUTPUTS == outputs


def test_files_are_deployed_to_what_they_speak_of() -> None:
    """A resource group has no roles, and a subscription no app."""
    scopes = {file.path.stem: file.scope for file in every()}
    assert OF_SUBSCRIPTIONS == {stem for stem, scope in scopes.items() if scope == "subscription"}
    assert {"resourceGroup"} == {scope for stem, scope in scopes.items() if stem not in OF_SUBSCRIPTIONS}


def test_only_an_action_group_that_is_asked_for_is_made() -> None:
    """For an address, where no group is given; only assignments of roles have conditions besides."""
    conditions = {
        resource.symbol: resource.when
        for file in every()
        for resource in file.resources
        if resource.when and resource.type != "Microsoft.Authorization/roleAssignments"
    }
    assert {"made": "empty(actionGroupId) && !empty(email)"} == conditions
    assert {
        "groupShortName": "keyrotation",
        "enabled": True,
        "emailReceivers": [{"name": "operators", "emailAddress": "email", "useCommonAlertSchema": True}],
    } == made("alerts", "made")["properties"]


def test_the_app_is_what_flex_consumption_runs() -> None:
    """Its plan, its identity, its package and its runtime."""
    plan, app = made("host", "plan"), made("host", "app")
    assert ("functionapp", {"reserved": True}) == (plan["kind"], plan["properties"])
    assert "functionapp,linux" == app["kind"]
    assert {"type": "UserAssigned", "userAssignedIdentities": {"'${identityId}'": {}}} == app["identity"]
    assert {
        "serverFarmId",
        "httpsOnly",
        "virtualNetworkSubnetId",
        "functionAppConfig",
        "siteConfig",
    } == app["properties"].keys()
    assert "plan.id" == app["properties"]["serverFarmId"]
    config = app["properties"]["functionAppConfig"]
    assert {"name": "python", "version": "pythonVersion"} == config["runtime"]
    assert {
        "type": "blobContainer",
        "value": PACKAGE,
        "authentication": {"type": "UserAssignedIdentity", "userAssignedIdentityResourceId": "identityId"},
    } == config["deployment"]["storage"]
    assert PACKAGE.strip("'").rpartition("}")[2] in read("modules/storage").variables["containerNames"]
    assert "storageName" == _existing("host", "storage")
    assert "componentName" == _existing("host", "component")


def test_the_app_finds_its_storage_its_logs_and_its_cloud() -> None:
    """What the platform reads; that of the settings with our prefix is in the test of the wiring."""
    settings = {
        entry["name"]: entry["value"] for entry in made("host", "app")["properties"]["siteConfig"]["appSettings"]
    }
    assert {
        "AzureWebJobsStorage__credential": "managedidentity",
        "AzureWebJobsStorage__clientId": "identityClientId",
        "AzureWebJobsStorage__blobServiceUri": "storage.properties.primaryEndpoints.blob",
        "AzureWebJobsStorage__queueServiceUri": "storage.properties.primaryEndpoints.queue",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "component.properties.ConnectionString",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "'ClientId=${identityClientId};Authorization=AAD'",
        "AZURE_CLIENT_ID": "identityClientId",
        "AZURE_CLOUD": "environment().name",
    } == {name: told for name, told in settings.items() if not name.startswith("ROTATION_")}


def test_roles_can_be_assigned_in_each_subscription_and_are_looked_for_there() -> None:
    """Vaults and accounts may be anywhere; a custom role is known in those where it may be assigned."""
    role = made("roles", "roles")
    assert "guid(subscription().id, token, definition.kind)" == role["name"]
    assert "map(subscriptionIds, id => '/subscriptions/${id}')" == role["properties"]["assignableScopes"]
    assert {
        "roleName": "definition.roleName",
        "type": "CustomRole",
        "permissions": [
            {
                "actions": "definition.actions",
                "notActions": [],
                "dataActions": "definition.dataActions",
                "notDataActions": [],
            }
        ],
    } == {name: told for name, told in role["properties"].items() if name != "assignableScopes"}
    for stem in ("target", "operations"):
        assert (
            "subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)"
            == (read(f"modules/{stem}").variables["roleId"])
        )


def test_a_topic_is_where_its_vault_is() -> None:
    """Azure refuses it elsewhere."""
    assert ("name", "location") == (made("topic", "topic")["name"], made("topic", "topic")["location"])


def test_the_zones_of_a_private_network_have_no_region_and_no_machines() -> None:
    """Whatever registered itself in them would pass for a service."""
    zone, link = made("network", "zones"), made("network", "links")
    assert ("zone.value", "global") == (zone["name"], zone["location"])
    assert ("global", False) == (link["location"], link["properties"]["registrationEnabled"])


def test_endpoints_are_heeded_by_no_rules_for_other_traffic() -> None:
    """Each subnet has one purpose, and is no wider than that."""
    app, endpoints = made("network", "network")["properties"]["subnets"]
    assert {"addressPrefix", "delegations"} == app["properties"].keys()
    assert {"addressPrefix": "10.0.2.0/23", "privateEndpointNetworkPolicies": "Disabled"} == endpoints["properties"]


def test_the_demo_has_what_is_to_be_shown() -> None:
    """Keys that work, a vault that heeds roles, and secrets that do not expire at once."""
    assert "dateTimeToEpoch(dateTimeAdd(now, 'P90D'))" == read("modules/demo").variables["expires"]
    assert "utcNow()" == read("modules/demo").parameters["now"]
    assert {
        "tenantId": "tenant().tenantId",
        "sku": {"family": "A", "name": "standard"},
        "enableRbacAuthorization": True,
        "enableSoftDelete": True,
        "softDeleteRetentionInDays": 7,
    } == made("demo", "vault")["properties"]
    assert made("demo", "storage")["properties"]["allowSharedKeyAccess"] is True
    assert {"allowedAuthenticationModes": ["SharedKey", "AAD"]} == made("demo", "batch")["properties"]
    assert {"disableLocalAuth": False} == made("demo", "pubSub")["properties"]
    secrets = read("modules/demo").made("Microsoft.KeyVault/vaults/secrets")
    assert [{"exp": "expires"}] * 3 == [secret["properties"]["attributes"] for secret in secrets]


@pytest.mark.parametrize(
    ("stem", "kind", "version", "properties"),
    [
        ("publishing", "Microsoft.Web/sites/basicPublishingCredentialsPolicies", "2025-03-01", {"allow"}),
        (
            "workbook",
            "Microsoft.Insights/workbooks",
            "2023-06-01",
            {"displayName", "category", "sourceId", "serializedData"},
        ),
    ],
)
def test_what_no_checker_knows_is_what_azure_documents(
    stem: str, kind: str, version: str, properties: set[str]
) -> None:
    """Neither the checker nor the compiler looks into an ARM template."""
    for resource in json.loads((INFRA / f"modules/{stem}.json").read_text())["resources"]:
        assert (kind, version) == (resource["type"], resource["apiVersion"])
        assert properties == resource["properties"].keys()


def test_the_workbook_is_one_that_everybody_sees() -> None:
    """Under the component, by a name that is a GUID and the same in each deployment."""
    (workbook,) = json.loads((INFRA / "modules/workbook.json").read_text())["resources"]
    assert ("shared", "workbook", "Key rotation") == (
        workbook["kind"],
        workbook["properties"]["category"],
        workbook["properties"]["displayName"],
    )
    assert "[guid(resourceGroup().id, 'key-rotation')]" == workbook["name"]
    assert "[parameters('location')]" == workbook["location"]


def _existing(stem: str, symbol: str) -> str:
    """The name by which a resource is looked up that is made elsewhere."""
    _, _, rest = read(f"modules/{stem}").text.partition(f"resource {symbol} '")
    head, _, body = rest.partition("{")
    assert "existing" in head
    return body.partition("}")[0].strip().removeprefix("name: ")
