//! Ports that a program may leave and take again.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A free port of the loopback, kept as long as the value.
///
/// It is bound and nothing listens on it. So the kernel gives it to no other program and to no
/// connection, while one that knows of it may listen there, die and listen again: servers bind with
/// `SO_REUSEADDR`.
pub struct Port {
    _bound: Socket,
    pub address: SocketAddr,
}

impl Port {
    pub fn free() -> Self {
        let bound = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        bound.set_reuse_address(true).expect("a setting of sockets");
        bound.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        let address = bound.local_addr().expect("it is bound").as_socket().expect("of IPv4");
        Self { _bound: bound, address }
    }
}
