"""What each module is given, when, where and after what; a crossed wire would deploy without a word."""

import json
import re
from ipaddress import IPv4Network
from typing import Any

import pytest
import yaml

from tests.infra.bicep import INFRA, ROOT, File, every, read

OTHERWISE: dict[str, dict[str, dict[str, str]]] = {
    "main": {
        "identity": {"name": "'id-rotation-${token}'"},
        "roles": {
            "subscriptionIds": "union([toLower(subscriptionId)], "
            "map(concat(vaults, accounts), id => toLower(split(id, '/')[2])))"
        },
        "demonstration": {
            "vaultName": "names.demoVault",
            "storageName": "names.demoStorage",
            "batchName": "names.demoBatch",
            "pubSubName": "names.demoPubSub",
        },
        "storage": {
            "name": "names.storage",
            "principalId": "identity.outputs.principalId",
            "closed": "privateNetwork",
        },
        "monitoring": {
            "componentName": "names.component",
            "workspaceName": "'log-rotation-${token}'",
            "principalId": "identity.outputs.principalId",
            "retentionDays": "logRetentionDays",
        },
        "targets": {
            "principalId": "identity.outputs.principalId",
            "roles": "roles.outputs.roles",
            "ids": "concat(vaults, accounts)",
        },
        "network": {"name": "names.network", "vaultIds": "vaults"},
        "host": {
            "name": "names.app",
            "identityId": "identity.outputs.id",
            "identityClientId": "identity.outputs.clientId",
            "storageName": "names.storage",
            "componentName": "names.component",
            "subnetId": "privateNetwork ? extensionResourceId(groupId, "
            "'Microsoft.Network/virtualNetworks/subnets', names.network, 'app') : ''",
            "vaults": "join(map(vaults, id => split(id, '/')[8]), ',')",
            "accounts": "empty(allowedAccounts) ? join(accounts, ',') : allowedAccounts",
        },
        "alerts": {"componentId": "monitoring.outputs.componentId", "email": "alertEmail"},
        "events": {
            "vaultIds": "vaults",
            "route": "eventRoute",
            "app": "names.app",
            "actionGroupId": "alerts.outputs.actionGroupId",
        },
    },
    "events": {
        "vaults": {"name": "split(topic.vaultId, '/')[8]"},
        "made": {
            "name": "split(topics[i].id, '/')[8]",
            "vaultId": "topics[i].vaultId",
            "location": "vaults[i].outputs.location",
        },
        "watched": {"topicName": "split(topics[i].id, '/')[8]"},
        "senders": {"storageName": "split(storageId, '/')[8]", "principalId": "watched[i].outputs.principalId"},
        "queued": {"topicName": "split(topics[i].id, '/')[8]", "name": "app", "appId": "''"},
    },
    "host": {"publishing": {"app": "app.name"}},
    "monitoring": {
        "workbook": {
            "componentId": "component.id",
            "content": "union(loadJsonContent('../workbook.content.json'), { fallbackResourceIds: [component.id] })",
        }
    },
    "targets": {
        "grants": {
            "kind": "toLower(split(id, '/')[7])",
            "name": "split(id, '/')[8]",
            "role": "roles[toLower(split(id, '/')[7])]",
        },
        "operations": {"role": "roles.operations"},
    },
    "subscriptions": {
        "direct": {"topicName": "split(id, '/')[8]", "name": "split(appId, '/')[8]", "route": "'function'"},
    },
}
"""By file and module, the parameters that are given something else than what has their own name there."""

CONDITIONS = {
    ("main", "demonstration"): "demo",
    ("main", "network"): "privateNetwork",
    ("events", "made"): "topics[i].create",
    ("events", "queued"): "route == 'queue'",
}
ORDER = {
    ("main", "targets"): ["demonstration"],
    ("main", "network"): ["storage", "demonstration"],
    ("main", "host"): ["storage", "monitoring", "targets", "network"],
    ("main", "events"): ["storage", "demonstration", "host"],
    ("host", "publishing"): ["signIn"],
    ("events", "watched"): ["made"],
    ("events", "queued"): ["senders"],
}
GROUP = "resourceGroup(split({0}, '/')[2], split({0}, '/')[4])"
SCOPES = {
    **{("main", name): "group" for name in OTHERWISE["main"].keys() - {"roles", "targets", "events"}},
    ("events", "vaults"): GROUP.format("topic.vaultId"),
    **{("events", name): GROUP.format("topics[i].id") for name in ("made", "watched", "queued")},
    ("events", "senders"): GROUP.format("storageId"),
    ("targets", "grants"): GROUP.format("id"),
    ("targets", "operations"): "subscription(id)",
    ("subscriptions", "direct"): GROUP.format("id"),
}
MODULES = {(file.path.stem, symbol): module for file in every() for symbol, module in file.modules.items()}


@pytest.mark.parametrize(("stem", "symbol"), MODULES, ids=["-".join(names) for names in MODULES])
def test_each_parameter_is_given_what_it_is_for(stem: str, symbol: str) -> None:
    """What has its own name, or what the table says."""
    given = MODULES[stem, symbol].given
    assert {name: OTHERWISE[stem][symbol].get(name, name) for name in given} == given


def test_modules_are_deployed_when_where_and_after_what_they_must() -> None:
    """What is not in a table has no condition, no other scope, and waits for what its expressions name."""
    assert {(stem, symbol) for stem, modules in OTHERWISE.items() for symbol in modules} == MODULES.keys()
    assert {key: module.when for key, module in MODULES.items() if module.when} == CONDITIONS
    assert {key: module.waits for key, module in MODULES.items() if module.waits} == ORDER
    assert {key: module.scope for key, module in MODULES.items() if module.scope} == SCOPES


def test_closed_lists_are_given_what_the_compiler_knows_to_be_in_them() -> None:
    """A value that is computed is any string to it, and no string is in the list: error BCP036."""
    closed = [
        (file, expression, allowed)
        for file in every()
        for module in file.modules.values()
        if module.path.suffix == ".bicep"
        for name, allowed in File(module.path).allowed.items()
        if (expression := module.given.get(name))
    ]
    assert closed
    for file, expression, allowed in closed:
        assert expression.strip("'") in allowed or allowed == file.allowed.get(expression), (file.path.stem, expression)


def test_ids_are_the_same_in_any_casing() -> None:
    """Azure does not tell them apart, and modules of one name would meet."""
    variables = read("main").variables
    for kind, ids in {"Vault": "vaults", "Account": "accounts"}.items():
        given = f"filter(map(split({kind.lower()}Ids, ','), id => toLower(trim(id))), id => !empty(id))"
        assert given == variables[f"given{kind}Ids"]
        assert f"union(given{kind}Ids, demo{kind}Ids)" == variables[ids]
        made = variables[f"demo{kind}Ids"]
        assert made.startswith("demo")
        assert made.count("names.") == made.count("toLower(extensionResourceId(groupId, ")


def test_outputs_are_what_their_names_say() -> None:
    """Hooks and operators go by them; what the demo made is not counted among what was there before."""
    assert {
        "AZURE_LOCATION": "location",
        "AZURE_TENANT_ID": "tenant().tenantId",
        "AZURE_RESOURCE_GROUP": "groupName",
        "SERVICE_ROTATION_NAME": "names.app",
        "SERVICE_ROTATION_URI": "host.outputs.uri",
        "SERVICE_ROTATION_PRINCIPAL_ID": "identity.outputs.principalId",
        "SERVICE_ROTATION_ID": "host.outputs.id",
        "ROTATION_VAULTS": OTHERWISE["main"]["host"]["vaults"],
        "ROTATION_LEASES": "storage.outputs.leases",
        "EVENT_ROUTE": "eventRoute",
        "EVENT_TOPIC_IDS": "events.outputs.topicIds",
        "EVENT_SECRET_PREFIX": "secretPrefix",
        "HOST_STORAGE_ID": "storageId",
        "EXISTING_TARGETS": "string(length(union(givenVaultIds, givenAccountIds)))",
    } == read("main").outputs


def test_variables_of_the_environment_reach_their_parameter() -> None:
    """Their names end alike, in the parameters file and, through the pipeline's, from GitHub."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    variables = {name: re.split(r"[=}]", entry["value"].removeprefix("${"))[0] for name, entry in given.items()}
    assert len(given) == len({*variables.values()})
    assert "DEPLOY_ROTATION_ACCOUNTS" == variables.pop("allowedAccounts")
    assert "AZURE_ENV_NAME" == variables.pop("environmentName")
    for name, variable in variables.items():
        assert variable.replace("_", "").lower().endswith(name.lower()), name

    jobs = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())["jobs"]
    for variable, told in jobs["deploy"]["env"].items():
        assert re.fullmatch(rf"\$\{{\{{ vars\.{variable}(?: \|\| '[^']*')? \}}\}}", told), variable


def test_settings_of_the_app_are_the_parameters_of_their_names() -> None:
    """An overlap that is told as the grace would break the promise to readers of a previous key."""
    (app,) = read("modules/host").made("Microsoft.Web/sites")
    settings = {entry["name"]: entry["value"] for entry in app["properties"]["siteConfig"]["appSettings"]}
    assert {
        "ROTATION_VAULTS": "vaults",
        "ROTATION_ACCOUNTS": "accounts",
        "ROTATION_SCHEDULE": "empty(schedule) ? '0 */15 * * * *' : schedule",
        "ROTATION_AUDIT_SCHEDULE": "empty(auditSchedule) ? '0 17 3 * * *' : auditSchedule",
        "ROTATION_OVERLAP": "overlap",
        "ROTATION_GRACE": "grace",
        "ROTATION_PROBE": "probe",
        "ROTATION_PROBE_TIMEOUT": "probeTimeout",
        "ROTATION_CONCURRENCY": "concurrency",
        "ROTATION_LEASES": "'${storage.properties.primaryEndpoints.blob}rotation-leases'",
    } == {name: told for name, told in settings.items() if name.startswith("ROTATION_")}


def test_the_plan_is_asked_for_nothing_that_it_does_not_take() -> None:
    """Some regions refuse properties that Flex Consumption does not use, as ftpsState: error 51021."""
    (app,) = read("modules/host").made("Microsoft.Web/sites")
    assert {"minTlsVersion", "scmMinTlsVersion", "http20Enabled", "appSettings"} == (
        app["properties"]["siteConfig"].keys()
    )
    assert "empty(subnetId) ? null : subnetId" == app["properties"]["virtualNetworkSubnetId"]
    assert {
        "instanceMemoryMB": 2048,
        "maximumInstanceCount": 40,
        "triggers": {"http": {"perInstanceConcurrency": 16}},
    } == app["properties"]["functionAppConfig"]["scaleAndConcurrency"]


def test_sign_in_lets_in_whom_it_was_told() -> None:
    """Those that are named, or everybody of the tenant, with a token for this app."""
    (config,) = read("modules/host").made("Microsoft.Web/sites/config")
    told = config["properties"]["identityProviders"]["azureActiveDirectory"]
    assert {
        "clientId": "signsIn ? signInClientId : null",
        "openIdIssuer": "'${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'",
    } == told["registration"]
    validation = told["validation"]
    assert "signsIn ? [signInClientId, 'api://${signInClientId}'] : []" == validation["allowedAudiences"]
    assert (
        "empty(signInPrincipals) ? null : { identities: map(split(signInPrincipals, ','), id => trim(id)) }"
        == _line(validation["defaultAuthorizationPolicy"]["allowedPrincipals"])
    )


def test_the_host_storage_is_open_to_whom_it_must_be() -> None:
    """To the app by the two roles that its host needs, and to Event Grid over the public endpoint."""
    (storage,) = read("modules/storage").made("Microsoft.Storage/storageAccounts")
    assert "Enabled" == storage["properties"]["publicNetworkAccess"]
    assert {
        "blobDataOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        "queueDataContributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    } == read("modules/storage").variables["roles"]
    assert {
        "queueDataMessageSender": "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
        "blobDataContributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    } == read("modules/sender").variables["roles"]


def test_a_topic_is_made_where_none_is_named() -> None:
    """A vault can have only one; ours is beside the vault and named after it. Names of vaults have no case."""
    assert (
        "toObject( filter(map(split(systemTopics, ','), pair => trim(pair)), pair => !empty(pair)), "
        "pair => toLower(split(pair, '=')[0]), pair => split(pair, '=')[1] )"
        == _line(read("modules/events").variables["known"])
    )
    name = "toLower(split(id, '/')[8])"
    assert (
        f"map(vaultIds, id => {{ vaultId: id create: !contains(known, {name}) id: contains(known, {name}) "
        f"? known[{name}] : '${{join(take(split(id, '/'), 5), '/')}}"
        f"/providers/Microsoft.EventGrid/systemTopics/rotation-${{{name}}}' }})"
        == _line(read("modules/events").variables["topics"])
    )
    assert "join(map(topics, topic => topic.id), ',')" == read("modules/events").outputs["topicIds"]


def test_events_are_of_the_secrets_that_were_named_and_in_a_schema_that_is_read() -> None:
    """The trigger of the app reads Event Grid's own schema, and alerts take CloudEvents only."""
    schemas = {"subscription": "EventGridSchema", "watch": "CloudEventSchemaV1_0"}
    for stem, schema in schemas.items():
        (made,) = read(f"modules/{stem}").made("Microsoft.EventGrid/systemTopics/eventSubscriptions")
        assert schema == made["properties"]["eventDeliverySchema"]
        assert {"includedEventTypes", "subjectBeginsWith", "isSubjectCaseSensitive"} == (
            made["properties"]["filter"].keys()
        )
        # Names of secrets have no case.
        assert ("secretPrefix", False) == (
            made["properties"]["filter"]["subjectBeginsWith"],
            made["properties"]["filter"]["isSubjectCaseSensitive"],
        )


def test_the_workbook_has_a_resource_to_ask() -> None:
    """The component, and not what it was once exported with."""
    assert "fallbackResourceIds" not in json.loads((INFRA / "workbook.content.json").read_text())
    workbook = json.loads((INFRA / "modules/workbook.json").read_text())["resources"][0]["properties"]
    assert ("[parameters('componentId')]", "[string(parameters('content'))]") == (
        workbook["sourceId"],
        workbook["serializedData"],
    )


def test_the_network_has_an_address_for_every_vault() -> None:
    """Subnets that lie in it and not in each other, of which that of the endpoints has about five hundred."""
    (network,) = read("modules/network").made("Microsoft.Network/virtualNetworks")
    (space,) = map(IPv4Network, network["properties"]["addressSpace"]["addressPrefixes"])
    app, endpoints = (IPv4Network(subnet["properties"]["addressPrefix"]) for subnet in network["properties"]["subnets"])
    assert not app.overlaps(endpoints)
    assert space.supernet_of(app)
    assert space.supernet_of(endpoints)
    assert (64, 512) == (app.num_addresses, endpoints.num_addresses)


def test_demo_secrets_hold_the_key_of_the_slot_that_they_name() -> None:
    """A tag that names the other slot would have the published key regenerated, were it not compared first."""
    secrets = {
        body["tags"]["resource-id"]: (body["tags"]["active-slot"], _key(body["properties"]["value"]))
        for body in read("modules/demo").made("Microsoft.KeyVault/vaults/secrets")
    }
    assert {
        "storage.id": ("key1", "storage.listKeys().keys[0].value"),
        "batch.id": ("Primary", "batch.listKeys().primary"),
        "pubSub.id": ("Primary", "pubSub.listKeys().primaryConnectionString"),
    } == secrets


def _line(expression: Any) -> str:
    return " ".join(str(expression).split())


def _key(expression: str) -> str:
    found = re.search(r"\w+\.listKeys\(\)[\w.\[\]]+", expression)
    assert found, expression
    return found[0]
