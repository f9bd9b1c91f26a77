//! Kernel settings: what they make possible, and that they come back.

use std::net::UdpSocket;
use std::time::Duration;

use xlb::net::sysctl;

use crate::lab::Namespace;

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/{path}")).unwrap().trim().to_owned()
}

/// Client, node and server in a row, both families.
fn row() -> [Namespace; 3] {
    let row = ["client", "node", "server"].map(Namespace::new);
    let [client, node, server] = &row;
    client.connect("c0", node, "left0");
    node.connect("right0", server, "s0");
    client.ip("addr add 10.1.0.2/24 dev c0");
    client.ip("addr add fd01::2/64 dev c0 nodad");
    client.ip("route add default via 10.1.0.1");
    client.ip("-6 route add default via fd01::1");
    node.ip("addr add 10.1.0.1/24 dev left0");
    node.ip("addr add fd01::1/64 dev left0 nodad");
    node.ip("addr add 10.2.0.1/24 dev right0");
    node.ip("addr add fd02::1/64 dev right0 nodad");
    server.ip("addr add 10.2.0.2/24 dev s0");
    server.ip("addr add fd02::2/64 dev s0 nodad");
    server.ip("route add default via 10.2.0.1");
    server.ip("-6 route add default via fd02::1");
    row
}

/// Whether a datagram gets through from `client` to `server`.
fn gets_through(client: &Namespace, server: &Namespace, address: &str) -> bool {
    let receiver = server.enter(|| UdpSocket::bind((address, 9)).unwrap());
    receiver.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let unspecified = if address.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
    let sender = client.enter(|| UdpSocket::bind(unspecified).unwrap());
    // The first ones may be lost while neighbours are asked for.
    (0..10).any(|_| {
        let _ = sender.send_to(b"x", (address, 9));
        receiver.recv(&mut [0; 8]).is_ok()
    })
}

#[test]
fn prepared_interfaces_forward_both_families_and_everything_comes_back() {
    let [client, node, server] = row();
    node.enter(|| std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1").unwrap());
    assert!(!gets_through(&client, &server, "10.2.0.2"));
    assert!(!gets_through(&client, &server, "fd02::2"));

    let changes = node.enter(|| sysctl::prepare(&["left0", "right0"]).unwrap());
    assert!(gets_through(&client, &server, "10.2.0.2"));
    assert!(gets_through(&client, &server, "fd02::2"));
    node.enter(|| {
        for (path, value) in [
            ("net/ipv4/conf/left0/forwarding", "1"),
            ("net/ipv4/conf/left0/accept_local", "1"),
            ("net/ipv4/conf/left0/rp_filter", "2"),
            ("net/ipv4/conf/left0/send_redirects", "0"),
            ("net/ipv4/conf/all/send_redirects", "0"),
            ("net/ipv6/conf/left0/forwarding", "1"),
            ("net/ipv6/conf/left0/accept_ra", "2"),
            ("net/ipv6/conf/lo/accept_ra", "1"),
        ] {
            assert_eq!(read(path), value, "{path}");
        }
        assert_eq!(sysctl::prepare(&["left0", "right0"]).unwrap(), []);
        for change in &changes {
            assert_eq!(read(&change.path), change.new, "{change:?}");
        }
        assert!(sysctl::restore(&changes).is_empty());
        for change in &changes {
            assert_eq!(read(&change.path), change.old, "{change:?}");
        }
    });
}

#[test]
fn an_interface_that_is_gone_is_an_error_to_prepare_and_none_to_restore() {
    let node = Namespace::new("node");
    node.ip("link add a0 type veth peer name a1");
    let changes = node.enter(|| sysctl::prepare(&["a0"]).unwrap());
    assert!(!changes.is_empty());
    node.ip("link del a0");
    node.enter(|| {
        let error = sysctl::prepare(&["a0"]).unwrap_err().to_string();
        assert!(error.contains("net/ipv4/conf/a0/"), "{error}");
        assert!(sysctl::restore(&changes).is_empty());
    });
}
