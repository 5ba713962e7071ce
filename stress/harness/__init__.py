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
    backends   a database of any backend, seeded or empty
    servers    the product and the floor, running
    nginx      a proxy in front of the product
    clients    wrk, k6 and openloop behind one kind of sample
    pgbench    PostgreSQL without the product, as a client of that kind
    drivers    the databases' drivers without HTTP, likewise
    warm       load before a measurement
    rounds     what is measured, in which order, and what it says
    tables     results as Markdown and JSON
    results    where they go, what they are called, the recipes at their ends
    svg        parts of pictures
    plot       latency by offered rate as an SVG
    contests   contestants that take turns, who used the machine, goals
    loading    how long a database takes for the same rows
    bounds     the contestants and goals of each backend
    dots       figures of several backends side by side as an SVG
    audits     whether a store agrees with itself
    beds       the cart's users, items and orders by number
    walks      those who take turns at checking orders out
    visits     users of the shop, many at once
    shop       all that is measured of a backend's cart, and its goals
    rushes     1,000 checkouts at once of too little, and who is right about it
"""
