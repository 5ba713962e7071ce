"""What the scripts of this folder share. Python's standard library only.

In this room, each using those above it:

    talk       progress lines and refusals
    places     folders, and the addresses that load may go to
    processes  every child process: started, watched and stopped here, after Ctrl-C too
    tools      wrk, k6, and the binaries that cargo builds
    machine    the recipe of a measurement: machine, versions, disk, quietness
    site       database servers by scripts/servers, one at a time
    seeds      what `storefront seed` stored, and the stamp that says so
    store      the embedded database file that a measurement runs on
    postgres   seeded databases and their copies
    cassandra  a seeded node's folder and its copies
    backends   a seeded database of any backend
    servers    the product and the floor, running
    nginx      a proxy in front of the product
    clients    wrk, k6 and openloop behind one kind of sample
    pgbench    PostgreSQL without the product, as a client of that kind
    drivers    the databases' drivers without HTTP, likewise
    warm       load before a measurement
    rounds     what is measured, in which order, and what it says
    tables     results as Markdown and JSON
    plot       results as an SVG
    contests   contestants that take turns, who used the machine, goals
    loading    how long a database takes for the same rows
    bounds     the contestants and goals of each backend
"""
