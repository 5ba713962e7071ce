"""Starts and stops real servers for tests, measurements and users; `scripts/servers` calls it.

The modules, each using those above it:

    console     lines about the work, and failures
    process     daemons, which outlive this program, and children, which end with it
    site        the folder and the ports of a set of servers
    accounts    the account that runs a server which refuses root
    downloads   programs of this machine, archives from Maven Central
    tls         certificates for PostgreSQL
    cql         a minimal client that asks a Cassandra node for its state
    postgres, cassandra   database servers, as daemons
    registry    the database servers by name
    cli         the command line of scripts/servers
    storefront, nginx     the product and a proxy before it, as children
"""
