"""A cold start pays only for the SDKs that it uses."""

import subprocess
import sys

LATE = (
    "azure.batch",
    "azure.messaging",
    "azure.mgmt.batch",
    "azure.mgmt.storage",
    "azure.mgmt.webpubsub",
    "azure.storage",
)
"""Packages that only a worker with an account of the right type needs."""


def imported_by(module: str) -> set[str]:
    """The modules that a fresh process has after importing this one."""
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_an_sdk_is_imported_when_it_is_first_needed() -> None:
    """Wiring the engine imports what every trigger uses, and no service's own SDK."""
    modules = imported_by("rotation.wiring")

    assert "azure.keyvault.secrets" in modules
    assert [] == [name for name in LATE if name in modules]


def test_settings_need_no_sdk() -> None:
    """What is wrong with the settings is told before anything of Azure is loaded."""
    assert not {name for name in imported_by("rotation.settings") if name.startswith(("azure", "aiohttp"))}


def test_the_app_is_loaded_without_the_engine() -> None:
    """The host waits until the functions are known; what they do is imported when the first one runs."""
    modules = imported_by("function_app")

    ours = {name for name in modules if name.startswith("rotation")}
    late = ("azure.core", "azure.identity", "aiohttp", "opentelemetry")

    assert {"rotation", "rotation.containment", "rotation.tracing"} == ours
    assert "azure.functions" in modules
    assert [] == [name for name in modules if name.startswith(late)]
