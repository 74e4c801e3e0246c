"""The templates by themselves: they parse, fit together, name nothing that is not there, and give nothing away."""

import importlib.util
import json
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.infra.bicep import FILES, INFRA, ROOT, File, every, read, walk
from tests.infra.bicep import text as source

ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a": "Storage Queue Data Message Sender",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
}
"""The built-in roles that may be assigned, and nothing wider: no Contributor, no Owner of resources."""

GUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
SENDING = re.compile(r"\b(?:list[A-Z]\w+|getSecret)\(")
"""The functions of templates that return secrets."""


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    """The checker of syntax, names and published types, which is no part of this repository."""
    place = Path(os.environ.get("BICEP_CHECK", ROOT.parent / "shared/tools/bicep_check.py"))
    if not place.is_file():
        pytest.skip("BICEP_CHECK names no checker; in CI the Bicep compiler tells")
    specification = importlib.util.spec_from_file_location("bicep_check", place)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    module.TYPES = module.load_types(place.parent.parent / "bicep-types")  # type: ignore[attr-defined]  # kept there
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_property_is_one_that_azure_publishes(checker: ModuleType, path: Path) -> None:
    """Syntax, names, API versions, properties, and values from closed lists."""
    assert checker.TYPES
    assert [] == checker.Checker(checker.TYPES).check(path.read_bytes())


def test_the_parameters_file_gives_what_the_template_takes() -> None:
    """Every parameter can be set in the environment of azd, and there is no other."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]

    assert read("main").parameters.keys() == given.keys()
    for name, entry in given.items():
        found = re.fullmatch(r"\$\{[A-Z_]+(?P<default>=.*)?\}", entry["value"])
        assert found, name
        assert (read("main").parameters[name] is None) == (found["default"] is None), name


def test_defaults_are_the_same_wherever_they_stand() -> None:
    """The parameters file and the template do not disagree."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    for name, default in read("main").parameters.items():
        if default is not None:
            assert default.strip("'") == given[name]["value"].partition("=")[2].removesuffix("}"), name


@pytest.mark.parametrize("file", every(), ids=lambda file: file.path.stem)
def test_modules_are_given_what_they_need(file: File) -> None:
    """Each module exists, is given every parameter without a default, and none that it does not know."""
    for symbol, module in file.modules.items():
        needs, known = _parameters(module.path)
        assert needs <= module.given.keys() <= known, symbol


@pytest.mark.parametrize("file", every(), ids=lambda file: file.path.stem)
def test_outputs_that_are_read_exist(file: File) -> None:
    """The checker does not look into modules."""
    for symbol, name in re.findall(r"\b(\w+)(?:\[\w+\])?\.outputs\.(\w+)", file.text):
        assert name in File(file.modules[symbol].path).outputs, (symbol, name)


@pytest.mark.parametrize("file", every(), ids=lambda file: file.path.stem)
def test_nothing_is_declared_in_vain(file: File) -> None:
    """A parameter or variable that nobody uses would look like a setting."""
    for name in [*file.parameters, *file.variables]:
        assert len(re.findall(rf"\b{name}\b", file.text)) > 1, name


def test_every_file_is_used() -> None:
    """No module is left behind, and the two phases are the only files that nobody calls."""
    used = {module.path for file in every() for module in file.modules.values()}
    assert {INFRA / "main.bicep", INFRA / "subscriptions.bicep"} == {*FILES} - used


def test_only_roles_of_the_list_are_assigned() -> None:
    """Every GUID in the templates is a role that was thought about."""
    assert ROLES.keys() == {guid for file in every() for guid in GUID.findall(file.text)}


def test_no_role_reaches_a_group_or_subscription() -> None:
    """Each assignment is for one resource, or for a queue or container of one, but for the state of operations."""
    assigned = [body for file in every() for body in file.made("Microsoft.Authorization/roleAssignments")]
    assert len(assigned) > len(ROLES)
    wide = [body for body in assigned if "scope" not in body]
    assert read("modules/operations").made("Microsoft.Authorization/roleAssignments") == wide
    assert "roles.operations" == read("modules/targets").modules["operations"].given["role"]
    assert {"ServicePrincipal"} == {body["properties"]["principalType"] for body in assigned}


def test_each_role_is_assigned_where_it_is_needed() -> None:
    """By role: the resource, queue or container that it opens."""
    scopes = {
        (file.path.stem, _seeds(body)[2]): body["scope"]
        for file in every()
        for body in file.made("Microsoft.Authorization/roleAssignments")
        if file.path.stem not in ("target", "operations")
    }

    assert {
        ("monitoring", "metricsPublisher"): "component",
        ("sender", "roles.queueDataMessageSender"): "storage::queues::work",
        ("sender", "roles.blobDataContributor"): "storage::blobs::deadLetters",
        ("storage", "role.value"): "storage",
    } == scopes


def test_an_assignment_is_named_after_all_that_cannot_be_changed_in_it() -> None:
    """Azure refuses to give an assignment another principal, as that of a topic that was made anew."""
    for file in every():
        for body in file.made("Microsoft.Authorization/roleAssignments"):
            scope, principal, role = _seeds(body)
            assert (f"{body.get('scope', 'subscription()')}.id", body["properties"]["principalId"]) == (
                scope,
                principal,
            )
            assert role in body["properties"]["roleDefinitionId"]


def test_two_apps_over_the_same_vaults_do_not_meet() -> None:
    """What is made beside a vault or an account has the app in its name, but for the one topic of a vault."""
    beside = {"targets": "principalId", "events": "app", "../subscriptions": "appId"}
    for stem, app in beside.items():
        found = re.findall(r"name: 'rotation-\w+-\$\{uniqueString\((.+)\)\}'", read(f"modules/{stem}").text)
        assert len(read(f"modules/{stem}").modules) == len(found)
        assert {app} == {seeds.split(", ")[-1] for seeds in found}
    (expiry,) = read("modules/subscription").made("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    (expired,) = read("modules/watch").made("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    (lost,) = read("modules/watch").made("Microsoft.Insights/metricAlerts")
    assert ("name", "'secret-expired-${app}'") == (expiry["name"], expired["name"])
    assert lost["name"].endswith("${uniqueString(topic.id)}-${app}'")
    assert ("app", "split(appId, '/')[8]") == (
        read("modules/events").modules["queued"].given["name"],
        read("subscriptions").modules["direct"].given["name"],
    )
    assert "names.app" == read("main").modules["events"].given["app"] == read("main").modules["host"].given["name"]


def test_roles_are_named_after_the_app() -> None:
    """The names of custom roles are unique in a tenant, and what an environment is called is not."""
    roles = read("modules/roles")
    assert all("(${token})'" in entry["roleName"] for entry in roles.variables["definitions"])
    (made,) = roles.made("Microsoft.Authorization/roleDefinitions")
    assert "guid(subscription().id, token, definition.kind)" == made["name"]
    assert "toLower(uniqueString(subscription().id, environmentName, location))" == read("main").variables["token"]


def test_the_group_is_spelled_out() -> None:
    """Ids are taken apart at their slashes; of a group's own id there are two spellings about."""
    main = read("main")
    assert "'${subscription().id}/resourceGroups/${groupName}'" == main.variables["groupId"]
    assert not re.search(r"\bgroup\.id\b", main.text)


def test_each_target_is_given_the_role_of_its_kind() -> None:
    """On itself, and only where it is of that kind."""
    text = read("modules/target").text
    granted = {resource.symbol: resource.body["scope"] for resource in read("modules/target").resources}
    kinds = re.findall(r"resource (\w+) 'Microsoft.Authorization/\w+@[\d-]+' = if \(kind == '(\w+)'\)", text)

    assert {"onVault": "vault", "onBatch": "batch", "onStorage": "storage", "onPubSub": "pubSub"} == granted
    assert {
        "onVault": "vaults",
        "onBatch": "batchaccounts",
        "onStorage": "storageaccounts",
        "onPubSub": "webpubsub",
    } == (dict(kinds))
    for symbol, kind in {
        "vault": "KeyVault/vaults",
        "batch": "Batch/batchAccounts",
        "storage": "Storage/storageAccounts",
        "pubSub": "SignalRService/webPubSub",
    }.items():
        assert re.search(rf"resource {symbol} 'Microsoft\.{kind}@[\d-]+' existing = {{\n  name: name\n}}", text)


def test_operations_are_read_where_there_is_a_service_that_has_some() -> None:
    """Once in each subscription, however many services it has, and nowhere else."""
    targets = read("modules/targets")
    assert "filter(ids, id => toLower(split(id, '/')[7]) == 'webpubsub')" == targets.variables["services"]
    assert "union(map(services, id => toLower(split(id, '/')[2])), [])" == targets.variables["subscriptionIds"]
    assert "for id in subscriptionIds: {\n    name: 'rotation-operations-" in targets.text
    assert "scope: subscription(id)" in targets.text


def test_topics_write_into_the_queue_only_where_events_go_through_it() -> None:
    """And into the container of dead letters at any time."""
    text = read("modules/sender").text
    assert ["sends"] == re.findall(r"resource (\w+) '[^']+' = if \(route == 'queue'\) {", text)
    assert "resource work 'queues' existing = {\n      name: 'rotation-work'" in text
    assert "resource deadLetters 'containers' existing = {\n      name: 'event-dead-letters'" in text


def test_topics_have_an_identity() -> None:
    """With which they open the host storage, that no key opens."""
    (topic,) = read("modules/topic").made("Microsoft.EventGrid/systemTopics")
    assert {"type": "SystemAssigned"} == topic["identity"]
    assert {"source": "vaultId", "topicType": "Microsoft.KeyVault.vaults"} == topic["properties"]


def test_events_take_the_route_that_was_chosen() -> None:
    """One of the two destinations, and dead letters in both cases."""
    (expiry,) = read("modules/subscription").made("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    properties = expiry["properties"]
    straight, queued = properties["destination"], properties["deliveryWithResourceIdentity"]
    assert re.fullmatch(r"route == 'function'\s+\? {\s+endpointType: 'AzureFunction'.*}\s+: null", straight, re.DOTALL)
    assert re.fullmatch(
        r"route == 'queue'\s+\? {\s+identity: { type: 'SystemAssigned' }.*endpointType: 'StorageQueue'.*}\s+: null",
        queued,
        re.DOTALL,
    )
    assert "queueMessageTimeToLiveInSeconds: 604800" in queued
    assert {"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440} == properties["retryPolicy"]
    dead = properties["deadLetterWithResourceIdentity"]
    assert {"type": "SystemAssigned"} == dead["identity"]
    assert "storageId" == dead["deadLetterDestination"]["properties"]["resourceId"]


def test_the_app_is_itself_to_storage_and_telemetry() -> None:
    """By the identity that was made for it; without its id the platform looks for another."""
    (app,) = read("modules/host").made("Microsoft.Web/sites")
    settings = {entry["name"]: entry["value"] for entry in app["properties"]["siteConfig"]["appSettings"]}
    assert {
        "AzureWebJobsStorage__clientId": "identityClientId",
        "AZURE_CLIENT_ID": "identityClientId",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "'ClientId=${identityClientId};Authorization=AAD'",
    }.items() <= settings.items()
    storage = app["properties"]["functionAppConfig"]["deployment"]["storage"]
    assert "identityId" == storage["authentication"]["userAssignedIdentityResourceId"]


def test_no_password_publishes_code() -> None:
    """Whoever could read the app's publishing profile could replace what rotates."""
    policies = json.loads((INFRA / "modules/publishing.json").read_text())["resources"]
    assert {("[concat(parameters('app'), '/scm')]", False), ("[concat(parameters('app'), '/ftp')]", False)} == {
        (policy["name"], policy["properties"]["allow"]) for policy in policies
    }
    assert {"Microsoft.Web/sites/basicPublishingCredentialsPolicies"} == {policy["type"] for policy in policies}
    # One after another, as both are changes of one site.
    first, second = policies
    assert "dependsOn" not in first
    (waits,) = second["dependsOn"]
    assert waits.endswith(f"{first['name'].rpartition('/')[2].partition(chr(39))[0]}')]")
    assert {"app": "app.name"} == read("modules/host").modules["publishing"].given


def test_the_private_network_has_a_name_and_an_endpoint_for_each_service() -> None:
    """Blob, queue and vaults: a zone that is linked, an endpoint in its subnet, and a record between the two."""
    network = read("modules/network")
    assert {
        "blob": "'privatelink.blob.${environment().suffixes.storage}'",
        "queue": "'privatelink.queue.${environment().suffixes.storage}'",
        "vault": "'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'",
    } == network.variables["zoneNames"]
    services = "".join(str(network.variables["services"]).split())
    assert (
        "concat([{group:'blob',id:storageId}{group:'queue',id:storageId}],map(vaultIds,id=>{group:'vault',id:id}))"
        == (services)
    )
    (endpoint,) = network.made("Microsoft.Network/privateEndpoints")
    assert {"id": "'${network.id}/subnets/endpoints'"} == endpoint["properties"]["subnet"]
    assert [
        {"name": "service.group", "properties": {"privateLinkServiceId": "service.id", "groupIds": ["service.group"]}}
    ] == endpoint["properties"]["privateLinkServiceConnections"]
    (record,) = network.made("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
    (config,) = record["properties"]["privateDnsZoneConfigs"]
    assert (
        "resourceId('Microsoft.Network/privateDnsZones', zoneNames[services[i].group])"
        == (config["properties"]["privateDnsZoneId"])
    )
    assert ("endpoints[i]", "[zones, links]") == (record["parent"], str(record["dependsOn"]).replace("'", ""))
    (link,) = network.made("Microsoft.Network/privateDnsZones/virtualNetworkLinks")
    assert ("zones[i]", {"id": "network.id"}) == (link["parent"], link["properties"]["virtualNetwork"])
    (made,) = network.made("Microsoft.Network/virtualNetworks")
    app, endpoints = made["properties"]["subnets"]
    assert ("app", "endpoints") == (app["name"], endpoints["name"])
    assert "Microsoft.App/environments" == app["properties"]["delegations"][0]["properties"]["serviceName"]
    assert "extensionResourceId(groupId, 'Microsoft.Network/virtualNetworks/subnets', names.network, 'app')" in (
        read("main").text
    )


def test_what_has_its_private_endpoint_elsewhere_is_still_found() -> None:
    """A zone of one's own hides all other names in it, those of accounts and vaults in other networks too."""
    network = read("modules/network")
    assert all(name.strip("'").startswith("privatelink") for name in network.variables["zoneNames"].values())
    links = network.made("Microsoft.Network/privateDnsZones/virtualNetworkLinks")
    assert ["NxDomainRedirect"] == [link["properties"].get("resolutionPolicy") for link in links]


def test_no_key_is_in_an_output() -> None:
    """Outputs stand in the history of deployments; only the demo reads keys at all, to put them into its vault."""
    assert {"demo"} == {file.path.stem for file in every() if SENDING.search(file.text)}
    assert {} == read("modules/demo").outputs
    secrets = {body["properties"]["value"] for body in read("modules/demo").made("Microsoft.KeyVault/vaults/secrets")}
    values = sum("listKeys" in value for value in secrets)
    assert values == len(SENDING.findall(read("modules/demo").text))
    telling = re.compile(r"connectionstring|password|accesskey|primarykey", re.IGNORECASE)
    assert [] == [name for file in every() for name, told in file.outputs.items() if telling.search(name + told)]


def test_the_host_storage_is_locked_down() -> None:
    """No keys, nothing public, no old TLS."""
    (storage,) = read("modules/storage").made("Microsoft.Storage/storageAccounts")
    wanted = {
        "allowSharedKeyAccess": False,
        "allowBlobPublicAccess": False,
        "allowCrossTenantReplication": False,
        "defaultToOAuthAuthentication": True,
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
    }
    assert wanted.items() <= storage["properties"].items()
    assert "AzureServices" == storage["properties"]["networkAcls"]["bypass"]
    assert "closed ? 'Deny' : 'Allow'" == storage["properties"]["networkAcls"]["defaultAction"]
    assert [{"publicAccess": "None"}] == [body["properties"] for body in read("modules/storage").made("containers")]


def test_telemetry_is_taken_from_identities_only() -> None:
    """An instrumentation key that leaks is of no use; and all of it, since alerts would not hear what is left out."""
    (component,) = read("modules/monitoring").made("Microsoft.Insights/components")
    (workspace,) = read("modules/monitoring").made("Microsoft.OperationalInsights/workspaces")
    assert {
        "Application_Type": "web",
        "WorkspaceResourceId": "workspace.id",
        "DisableLocalAuth": True,
    } == component["properties"]
    assert {
        "sku": {"name": "PerGB2018"},
        "retentionInDays": "retentionDays",
        "features": {"disableLocalAuth": True},
    } == workspace["properties"]


def test_the_app_is_what_was_asked_for() -> None:
    """Flex Consumption, Python 3.13, HTTPS with TLS 1.2, and an identity that was there before it."""
    (plan,) = read("modules/host").made("Microsoft.Web/serverfarms")
    (app,) = read("modules/host").made("Microsoft.Web/sites")
    assert {"name": "FC1", "tier": "FlexConsumption"} == plan["sku"]
    assert "'3.13'" == read("main").parameters["pythonVersion"]
    assert "UserAssigned" == app["identity"]["type"]
    assert app["properties"]["httpsOnly"] is True
    assert {"minTlsVersion": "1.2", "scmMinTlsVersion": "1.2"}.items() <= app["properties"]["siteConfig"].items()
    storage = app["properties"]["functionAppConfig"]["deployment"]["storage"]
    assert "UserAssignedIdentity" == storage["authentication"]["type"]


@pytest.mark.parametrize("before", ["storage", "monitoring", "targets", "network"])
def test_the_app_starts_after_its_roles(before: str) -> None:
    """The samples leave it parallel, and their apps begin with a 403."""
    (host,) = (
        node
        for node in walk(read("main").root)
        if node.type == "module_declaration" and source(node.named_children[0]) == "host"
    )
    waits = re.search(r"dependsOn: \[(.*)\]", source(host))
    assert waits
    assert before in waits[1].split(", ")


def test_demo_secrets_are_written_once() -> None:
    """A second deployment would otherwise put an older key back."""
    text = read("modules/demo").text
    assert 3 == text.count("@onlyIfNotExists()\nresource ") == text.count("'Microsoft.KeyVault/vaults/secrets@")


def test_demo_secrets_are_enrolled() -> None:
    """Their tags are those that the app reads, and say what the value looks like."""
    from rotation import tags  # noqa: PLC0415  the templates do not need it

    for body in read("modules/demo").made("Microsoft.KeyVault/vaults/secrets"):
        assert tags.managed(body["tags"])
        terms = tags.read({**body["tags"], "resource-id": _id_of(body["tags"]["resource-id"])})
        assert 90 == terms.validity.days
        whole = "AccountKey=" in body["properties"]["value"] or "ConnectionString" in body["properties"]["value"]
        assert ("connection-string" if whole else "key") == terms.format


@pytest.mark.parametrize(
    "path",
    [*INFRA.rglob("*.json"), *ROOT.glob("*.json"), ROOT / ".devcontainer/devcontainer.json"],
    ids=lambda path: path.name,
)
def test_json_parses(path: Path) -> None:
    """No comma too many."""
    assert json.loads(path.read_text())


@pytest.mark.parametrize(
    "path", [ROOT / "azure.yaml", *sorted((ROOT / ".github").rglob("*.yml"))], ids=lambda path: path.name
)
def test_yaml_parses(path: Path) -> None:
    """And is a document, not a text."""
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def _parameters(path: Path) -> tuple[set[str], set[str]]:
    """The parameters that a module needs, and all that it knows."""
    if path.suffix == ".json":
        declared: dict[str, Any] = json.loads(path.read_text())["parameters"]
        return {name for name, entry in declared.items() if "defaultValue" not in entry}, {*declared}
    parameters = File(path).parameters
    return {name for name, default in parameters.items() if default is None}, {*parameters}


def _seeds(assignment: dict[str, Any]) -> list[str]:
    """What the name of an assignment is made from."""
    found = re.fullmatch(r"guid\((.+)\)", assignment["name"])
    assert found, assignment["name"]
    return found[1].split(", ")


def _id_of(expression: str) -> str:
    kind = {
        "storage.id": "Microsoft.Storage/storageAccounts",
        "batch.id": "Microsoft.Batch/batchAccounts",
        "pubSub.id": "Microsoft.SignalRService/webPubSub",
    }
    return f"/subscriptions/{'0' * 8}-0000-0000-0000-{'0' * 12}/resourceGroups/rg/providers/{kind[expression]}/demo"
