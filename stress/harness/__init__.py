"""Shared by the scripts of this folder. Python's standard library only.

The modules, each using those above it:

    progress         progress lines
    paths            folders, and the addresses that load may go to
    usage            processor time and memory of processes
    programs         wrk, k6, and the binaries that cargo builds
    machine          the recipe of a measurement: machine, versions, disk, other load
    database_servers the database servers, one at a time
    seeds            what `storefront seed` stored, and the stamp that describes it
    embedded_data    the embedded database file that a measurement runs on
    postgres_data    seeded databases and their copies
    cassandra_data   a seeded node's folder and its copies
    backends         a database of any backend, seeded or empty
    targets          the servers under load: the product, the floor, nginx
    clients          wrk, k6 and openloop, all with one kind of sample
    pgbench          PostgreSQL without the product, with the same kind of sample
    drivers          the databases' drivers without HTTP, likewise
    warm             load before a measurement
    rounds           what is measured in `stress/run`, in which order, and the notes on it
    tables           results as Markdown and JSON
    results          folders and names of results, the recipes at their ends
    svg              parts of plots
    plot             latency by offered rate as an SVG
    comparison       interleaved runs of several variants, processor shares, goals
    loading          how long a database takes to load the same rows
    baselines        the variants and goals of each backend
    dot_plot         figures of several backends side by side as an SVG
    audits           whether a store agrees with its own orders
    fixtures         the cart's users, items and orders by number
    checkout_load    clients that check orders out
    user_simulation  simulated users, many at once
    cart_benchmark   all that is measured of a backend's cart, and its goals
    contention       1,000 checkouts at once of too few things, and whether all agree
"""

import sys
from pathlib import Path

# For the package `tools`, which is at the root of the repository: it starts and stops all servers.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
