"""Azure on one machine, at the wire: an honest, deliberately awkward server for real, unmodified clients.

server.py         one port: a CONNECT proxy that ends TLS under Azure's own host names (certificates.py),
                  and plain HTTP for the control API (control.py) and App Service's managed identity
azure.py          a request: found its service (clouds.py), journalled (journal.py), delayed,
                  made to fail (faults.py) or answered by one of
                  entra.py arm.py keyvault.py storage.py batch.py webpubsub.py
                  (wire.py, descriptions.py, signatures.py)
world.py          the state behind them: accounts.py, vaults.py, each on a timeline.py, under a clock.py
estate.py         an estate file, read into a world (reader.py, durations.py, formats.py, fleet.py)
verdict.py        the judge: does what the vaults publish open the accounts, right now?
cli.py            `python -m simulator serve | run`, and the environment.py of its clients
running.py        a simulator in its own process, and client.py, the control API from Python

It is written from Azure's documents and shares no code with what it tests.
"""
