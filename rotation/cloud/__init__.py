"""The Azure SDKs behind the ports."""
