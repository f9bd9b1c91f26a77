//! Having the kernel resolve and confirm neighbours.
//!
//! The kernel confirms a neighbour when it uses it itself. What a program sends past the kernel
//! confirms nothing: a router that was replaced would be sent to for ever. So every few seconds the
//! agent asks for each neighbour that it depends on, and the kernel does the ARP or neighbour
//! discovery; the answer comes as a change of the neighbours.

use std::net::IpAddr;

use netlink_packet_route::neighbour::{NeighbourFlags, NeighbourState as Nud};
use rtnetlink::Handle;

use super::Error;
use super::view::{NeighbourState, NetView};

/// Which of the neighbours that are depended on must be asked for.
///
/// Those that were confirmed lately or are being asked need nothing. Permanent ones must be left
/// alone: newer kernels take such a request as leave to forget them.
pub fn unconfirmed(view: &NetView, wanted: &[(u32, IpAddr)]) -> Vec<(u32, IpAddr)> {
    let state = |(ifindex, address): (u32, IpAddr)| {
        let known = view.neighbours.iter().find(|n| n.ifindex == ifindex && n.address == address);
        known.map_or(NeighbourState::None, |neighbour| neighbour.state)
    };
    let ask = |neighbour: &(u32, IpAddr)| match state(*neighbour) {
        NeighbourState::Stale | NeighbourState::Failed | NeighbourState::None => true,
        NeighbourState::Reachable
        | NeighbourState::Delay
        | NeighbourState::Probe
        | NeighbourState::Permanent
        | NeighbourState::Incomplete => false,
    };
    wanted.iter().copied().filter(ask).collect()
}

/// Has the kernel resolve or confirm a neighbour, as if it had a packet for it.
///
/// # Errors
///
/// If the interface is gone or down, or the address can't be a neighbour.
pub async fn confirm(handle: &Handle, ifindex: u32, address: IpAddr) -> Result<(), Error> {
    handle
        .neighbours()
        .add(ifindex, address)
        .state(Nud::None)
        .flags(NeighbourFlags::Use)
        .replace()
        .execute()
        .await
        .map_err(|source| Error::Neighbour { ifindex, address, source })
}

#[cfg(test)]
mod tests {
    use super::super::view::Neighbour;
    use super::*;

    #[test]
    fn only_neighbours_in_doubt_are_asked_for() {
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        let states = [
            (1, NeighbourState::Reachable, false),
            (2, NeighbourState::Stale, true),
            (3, NeighbourState::Permanent, false),
            (4, NeighbourState::Failed, true),
            (5, NeighbourState::Probe, false),
            (6, NeighbourState::Incomplete, false),
        ];
        let neighbours = states.map(|(last, state, _)| {
            let mac = Some([2, 0, 0, 0, 0, last]);
            Neighbour { ifindex: 1, address: address(last), mac, state }
        });
        let view = NetView { neighbours: neighbours.to_vec(), ..NetView::default() };
        for (last, state, ask) in states {
            let wanted = [(1, address(last))];
            assert_eq!(unconfirmed(&view, &wanted).len(), usize::from(ask), "{state:?}");
        }
        let unknown = [(1, address(9)), (2, address(1))];
        assert_eq!(unconfirmed(&view, &unknown), unknown);
    }
}
