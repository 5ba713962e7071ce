"""Starts and stops real servers for tests, measurements and users; `scripts/servers` calls it.

The modules, each using those above it:

    console     lines about the work, and failures
    process     children: programs that end with this one
    daemon      daemons: processes that outlive this program
    site        the folder and the ports of a set of servers
    accounts    the account that runs a server which refuses root
    downloads   programs of this machine, archives from Maven Central
    tls         certificates for PostgreSQL
    cql         a minimal client that asks a Cassandra node for its state
    server      what all servers have in common
    postgres, replica, cassandra, nats   servers, as daemons
    registry    the servers by name
    commands    what scripts/servers does
    cli         its command line
    storefront, nginx     the product and a proxy before it, as children
"""
