"""The port: a tunnel to Azure's names and to nothing else, and a process that starts and stops cleanly."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from simulator.client import ControlClient
from simulator.running import simulator as running_simulator
from tests.conformance.simulator.wire import MANAGEMENT, VAULT, send, token_for

ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m simulator run` with these arguments."""
    return start(sys.executable, "-m", "simulator", "run", *arguments)


def start(*command: str) -> subprocess.CompletedProcess[str]:
    """A command, to its end."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  # our own command


def test_no_other_host_is_reached(simulator: ControlClient) -> None:
    """A tunnel to a host that is not simulated is refused, and written down."""
    with pytest.raises(urllib.error.URLError, match="502"):
        send("GET", "https://www.example.org/")

    assert [(entry["method"], entry["host"], entry["status"]) for entry in simulator.journal()] == [
        ("CONNECT", "www.example.org", 502)
    ]


def test_no_plain_host_is_reached(simulator: ControlClient) -> None:
    """The port is no open proxy for plain HTTP either."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": simulator.url}))

    with pytest.raises(urllib.error.HTTPError) as refused:
        opener.open("http://www.example.org/healthz", timeout=10)
    refused.value.close()

    assert refused.value.code == 502
    assert simulator.journal()[-1]["host"] == "www.example.org"


def test_nobody_else_is_trusted(simulator: ControlClient) -> None:
    """The certificate is made for one run: a client that trusts the usual authorities does not accept it."""
    address = urlsplit(simulator.url)
    usual = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(b"CONNECT management.azure.com:443 HTTP/1.1\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        with (
            pytest.raises(ssl.SSLCertVerificationError),
            usual.wrap_socket(connection, server_hostname="management.azure.com"),
        ):
            pass


def test_a_request_may_arrive_with_the_end_of_the_handshake(simulator: ControlClient) -> None:
    """A client that sends its request together with its last handshake message is answered."""
    address = urlsplit(simulator.url)
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="management.azure.com")
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(b"CONNECT management.azure.com:443 HTTP/1.1\r\n\r\n")
        connection.recv(4096)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
        tls.write(b"GET /metadata/endpoints HTTP/1.1\r\nHost: management.azure.com\r\nConnection: close\r\n\r\n")
        connection.sendall(outgoing.read())
        answer = b""
        while b"\r\n\r\n" not in answer:
            incoming.write(connection.recv(65536))
            try:
                answer += tls.read(65536)
            except ssl.SSLWantReadError:
                continue

    assert answer.startswith(b"HTTP/1.1 200")


def test_many_connections_at_once(simulator: ControlClient) -> None:
    """Each tunnel gets the answer to its own question."""
    token = token_for(VAULT)
    for number in range(20):
        simulator.add_secret("kv-orders", name=f"many-{number}")

    def read(number: int) -> str:
        url = f"https://kv-orders.vault.azure.net/secrets/many-{number}/?api-version=7.4"
        return str(send("GET", url, token=token).json["id"]).split("/")[4]

    with ThreadPoolExecutor(16) as pool:
        names = list(pool.map(read, range(20)))

    assert names == [f"many-{number}" for number in range(20)]


def test_the_journal_holds_no_secrets(simulator: ControlClient) -> None:
    """Method, host, path, status and the client's request id; no signature, token, body or header."""
    token = token_for(MANAGEMENT)
    url = f"{MANAGEMENT}{simulator.account('stcontosoorders')['id']}/listKeys?api-version=1&sig=hush&token=hush"
    simulator.clear_journal()

    send("POST", url, token=token, headers={"x-ms-client-request-id": "one"})
    send("GET", f"{MANAGEMENT}/subscriptions?api-version=1", token=token)

    first, second = simulator.journal()
    assert (first["method"], first["host"], first["query"]) == ("POST", "management.azure.com", "api-version=1")
    assert (first["status"], first["client_request_id"], first["sign_in"]) == (200, "one", False)
    assert simulator.journal(since=first["n"]) == [second]
    assert token not in str([first, second])


def test_every_client_finds_it_through_the_environment(simulator: ControlClient) -> None:
    """The variables name the proxy, the certificate, the identity and the estate, and no other certificates."""
    names = ("HTTPS_PROXY", "https_proxy", "SIMULATOR_URL")
    assert {os.environ[name] for name in names} == {simulator.url}
    bundles = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    (bundle,) = {os.environ[name] for name in bundles}
    assert Path(bundle).read_text().count("BEGIN CERTIFICATE") == 1
    assert os.environ["SSL_CERT_DIR"] == str(Path(bundle).parent)
    assert os.environ["ROTATION_VAULTS"] == "https://kv-orders.vault.azure.net,https://kv-billing.vault.azure.net"


def test_a_command_runs_in_its_environment() -> None:
    """`run` passes the command's code on, and its environment in."""
    code = "import os; print(os.environ['SIMULATOR_URL']); raise SystemExit(7)"

    done = run("--", sys.executable, "-c", code)

    assert done.returncode == 7
    assert done.stdout.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("path", ["/msi/token", "/faults"])
def test_a_client_that_goes_in_the_middle_of_a_request_is_no_defect(path: str) -> None:
    """Whoever interrupts a demo reads no traceback; the simulator goes on."""
    code = f"""
import os, socket, urllib.parse, urllib.request
url = urllib.parse.urlsplit(os.environ["SIMULATOR_URL"])
with socket.create_connection((url.hostname, url.port)) as gone:
    gone.sendall(b"POST {path} HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 10\\r\\n\\r\\nabc")
print(urllib.request.urlopen(os.environ["SIMULATOR_URL"] + "/healthz").status)
"""
    done = run("--", sys.executable, "-c", code)

    assert (done.returncode, done.stdout, done.stderr) == (0, "200\n", "")


def test_a_command_that_is_missing_is_named() -> None:
    """127, as in a shell."""
    done = run("--", "no-such-command")

    assert done.returncode == 127
    assert "no-such-command" in done.stderr


def test_a_wrong_estate_is_a_usage_error(tmp_path: Path) -> None:
    """Every complaint on a line of its own, before anything starts."""
    path = tmp_path / "estate.json"
    path.write_text('{"accounts": [{"type": "storage"}], "colour": "red"}')

    done = run("--estate", str(path), "--", "true")

    assert done.returncode == 2
    assert [line.partition(": ")[2] for line in done.stderr.splitlines()] == [
        "accounts[0].resource_group: is missing",
        "accounts[0].name: is missing",
        "colour: is not known",
    ]


def test_what_cannot_be_served_is_one_line(tmp_path: Path) -> None:
    """Wrong options, a port that is taken and a file that cannot be written: code 2, and no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wrong = {
            "'--port'": ("--port", "99999"),
            "valid integer": ("--port", "http"),
            "No such option": ("--speed", "9"),
            "cannot listen on port": ("--port", str(taken.getsockname()[1])),
            "cannot write": ("--env-file", str(tmp_path / "nowhere" / "env")),
        }
        for words, options in wrong.items():
            done = start(sys.executable, "-m", "simulator", "serve", *options)

            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
            assert words in done.stderr


def test_help_has_a_short_name() -> None:
    """`-h` is what people type first."""
    assert start(sys.executable, "-m", "simulator", "-h").stdout.startswith("Usage: python -m simulator")


def test_without_its_packages_it_says_how_to_get_them() -> None:
    """Who starts it with the system's Python is told what to type."""
    done = start(sys.executable, "-S", "-m", "simulator", "serve")

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "trustme" in done.stderr
    assert "make setup" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told(tmp_path: Path, number: signal.Signals) -> None:
    """A signal ends it with code 0, and its certificate is gone."""
    env_file = tmp_path / "env"
    command = [sys.executable, "-m", "simulator", "serve", "--env-file", str(env_file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # our own command
        assert process.stdout is not None
        ready = process.stdout.readline()
        env = dict(line.split("=", 1) for line in env_file.read_text().splitlines())
        assert ready == f"simulator ready at {env['SIMULATOR_URL']}\n"
        assert Path(env["SSL_CERT_FILE"]).exists()
        process.send_signal(number)
        assert process.wait(10) == 0

    assert not Path(env["SSL_CERT_FILE"]).exists()


def test_an_estate_of_ones_own_is_served() -> None:
    """A second simulator runs beside the first one, with another estate."""
    with running_simulator({"vaults": [{"name": "kv-own"}]}) as running:
        assert running.env["ROTATION_VAULTS"] == "https://kv-own.vault.azure.net"
        assert running.control.request("GET", "/healthz") == {"status": "ready"}


def test_the_control_client_is_light() -> None:
    """Tests and the demo import it: the standard library is all it may load."""
    code = "import sys, simulator.client; print(sorted({'aiohttp', 'jwt', 'typer', 'trustme'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603  # our own command

    assert done.stdout == "[]\n"
