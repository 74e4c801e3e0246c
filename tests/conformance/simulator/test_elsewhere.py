"""Hosts that another program plays: the same door, journal and faults, and signatures that are still good."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobLeaseClient, ContainerClient

from simulator.client import ControlClient, ControlError
from tests.conformance.simulator.wire import send
from tests.proof.lease_storage import LeaseStorage, lease_storage

NAME = "some-container"


@pytest.fixture
def storage(simulator: ControlClient, azurite: str) -> Iterator[LeaseStorage]:
    """A storage emulator as an account of the estate."""
    with lease_storage(azurite) as found:
        simulator.reset(found.elsewhere)
        yield found


@pytest.fixture
def container(storage: LeaseStorage) -> Iterator[ContainerClient]:
    """A container there, as any client of Azure finds it."""
    with closing(ContainerClient.from_connection_string(storage.connection, NAME, retry_total=0)) as found:
        found.create_container()
        yield found
        found.delete_container()


def test_what_is_asked_arrives_there_and_is_journalled(
    simulator: ControlClient, storage: LeaseStorage, container: ContainerClient
) -> None:
    """Bodies, queries and headers pass both ways, and the journal tells what becomes of leases."""
    blob = container.upload_blob("folder/some blob", b"content")
    lease = BlobLeaseClient(blob)
    simulator.clear_journal()
    lease.acquire(15)
    lease.release()

    assert b"content" == container.download_blob("folder/some blob").readall()
    assert ["folder/some blob"] == [found.name for found in container.list_blobs()]
    entries = simulator.journal()
    assert {storage.host} == {entry["host"] for entry in entries}
    assert ["acquire", "release", "", ""] == [entry["action"] for entry in entries]
    assert [201, 200] == [entry["status"] for entry in entries[:2]]


def test_faults_strike_on_the_way(simulator: ControlClient, container: ContainerClient) -> None:
    """One kind of request about a lease can be told from the others, which have the same path."""
    lease = BlobLeaseClient(container.upload_blob("blob", b""))
    fault = simulator.fault(action="renew", status=404, code="BlobNotFound")

    lease.acquire(15)
    with pytest.raises(ResourceNotFoundError, match="BlobNotFound"):
        lease.renew()
    lease.release()
    assert 1 == simulator.hits(fault)


def test_a_token_opens_it_as_its_key_does(simulator: ControlClient, storage: LeaseStorage) -> None:
    """That is one for storage, given out here."""
    simulator.clear_journal()
    with closing(DefaultAzureCredential()) as ours:
        with closing(ContainerClient.from_container_url(storage.url, ours)) as container:
            container.create_container()
            lease = BlobLeaseClient(container.upload_blob("some blob", b"content"))
            lease.acquire(15)
            lease.renew()
            lease.release()
            container.delete_container()
        for token in (ours.get_token("https://vault.azure.net/.default").token, "made up"):
            assert 401 == send("PUT", f"{storage.url}?restype=container", token=token).status

    told = [entry for entry in simulator.journal() if entry["host"] == storage.host]
    assert ["acquire", "renew", "release"] == [entry["action"] for entry in told if entry["action"]]
    assert [201, 201, 201, 200, 200, 202, 401, 401] == [entry["status"] for entry in told]


def test_a_host_that_nobody_plays_says_so(simulator: ControlClient) -> None:
    """A test with a wrong port is not to wait for Azure."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        simulator.reset({"elsewhere": [{"host": "stlocal.blob.core.windows.net", "port": port}]})

        answer = send("GET", "https://stlocal.blob.core.windows.net/")
    assert (502, f"nobody plays stlocal.blob.core.windows.net at port {port}\n".encode()) == (
        answer.status,
        answer.body,
    )


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"port": 10000}, r"elsewhere\[0\].host: is missing"),
        ({"host": "blobs.example", "port": 10000}, r"elsewhere\[0\].host: is not a host of Azure"),
        ({"host": "https://stlocal.blob.core.windows.net", "port": 1}, r"elsewhere\[0\].host: is not a host of Azure"),
        ({"host": "stlocal.blob.core.windows.net"}, r"elsewhere\[0\].port: has to be from 1 to 65535"),
        ({"host": "stlocal.blob.core.windows.net", "port": 1, "path": "/"}, r"elsewhere\[0\].path: is not known"),
    ],
)
def test_what_cannot_be_played_elsewhere_is_refused(
    simulator: ControlClient, told: dict[str, object], complaint: str
) -> None:
    """With the place of the mistake."""
    with pytest.raises(ControlError, match=complaint):
        simulator.reset({"elsewhere": [told]})
