"""Starts and stops real servers, for tests, measurements and users: `scripts/servers` is its command.

The modules, each using those above it:

    console     progress lines and failures
    process     processes that outlive this program
    site        the folder and the ports of a set of servers, the account that owns the files
    downloads   programs of this machine, archives from Maven Central
    tls         certificates for PostgreSQL
    cql         a minimal client that asks a Cassandra node for its state
    postgres, cassandra   the servers
    cli         the command line
"""
