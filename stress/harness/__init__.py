"""What the scripts of this folder share. Python's standard library only.

In this room, each using those above it:

    talk       progress lines and refusals
    places     folders, and the addresses that load may go to
    processes  every child process: started, watched and stopped here, after Ctrl-C too
    tools      wrk, k6, and the binaries that cargo builds
    machine    the recipe of a measurement: machine, versions, disk, quietness
    store      the database file that a measurement runs on
    servers    the product and the floor, running
    clients    wrk, k6 and openloop behind one kind of sample
    rounds     what is measured, in which order, and what it says
    tables     results as Markdown and JSON
    plot       results as an SVG
"""
