//! What is expected of a packet: the verdict, the frame, and which counters move, by how much. All
//! other counters must not move.

use xlb_common::layout::TargetCounters;
use xlb_common::reason::{Action, Reason};

use crate::packet::Packet;
use crate::world::Line;

pub const DROP: u32 = 1;
pub const PASS: u32 = 2;
pub const TRANSMIT: u32 = 3;
pub const REDIRECT: u32 = 4;

/// What is expected of a packet.
#[derive(Clone, Debug)]
pub struct Expect {
    pub verdict: u32,
    pub frame: Frame,
    pub reason: Option<Reason>,
    pub counted: Option<(u16, TargetCounters)>,
}

/// What is expected of the frame's bytes.
#[derive(Clone, Debug)]
pub enum Frame {
    /// As they came.
    Same,
    /// These.
    Bytes(Vec<u8>),
    /// Nobody sees them.
    Gone,
}

/// It goes to the kernel as it came.
pub fn passed(reason: Reason) -> Expect {
    assert_eq!(reason.action(), Action::Pass);
    Expect { verdict: PASS, frame: Frame::Same, reason: Some(reason), counted: None }
}

/// It ends here.
pub fn dropped(reason: Reason) -> Expect {
    assert_eq!(reason.action(), Action::Drop);
    Expect { verdict: DROP, frame: Frame::Gone, reason: Some(reason), counted: None }
}

/// It is sent back out of its interface as `packet`, and counted as the line's request.
pub fn request(line: &Line, packet: &Packet) -> Expect {
    sent(line.target, packet, |counters| {
        (&mut counters.request_packets, &mut counters.request_bytes)
    })
}

/// It is sent back out of its interface as `packet`, and counted as the line's reply.
pub fn reply(line: &Line, packet: &Packet) -> Expect {
    sent(line.target, packet, |counters| (&mut counters.reply_packets, &mut counters.reply_bytes))
}

/// It is sent back out of its interface as `packet`, and counted for `target`.
pub fn sent(
    target: u16,
    packet: &Packet,
    count: impl FnOnce(&mut TargetCounters) -> (&mut u64, &mut u64),
) -> Expect {
    let mut counters = TargetCounters::default();
    let (packets, bytes) = count(&mut counters);
    (*packets, *bytes) = (1, packet.ip_length() as u64);
    Expect {
        verdict: TRANSMIT,
        frame: Frame::Bytes(packet.bytes()),
        reason: None,
        counted: Some((target, counters)),
    }
}

impl Expect {
    /// It is redirected to another interface instead.
    pub fn redirected(self) -> Self {
        Self { verdict: REDIRECT, ..self }
    }

    /// The kernel gets it instead.
    pub fn handed_up(self, reason: Reason) -> Self {
        assert_eq!(reason.action(), Action::HandUp);
        Self { verdict: PASS, reason: Some(reason), ..self }
    }

    /// It is counted as sent, but then dropped.
    pub fn lost(self, reason: Reason) -> Self {
        assert_eq!(reason.action(), Action::Drop);
        Self { verdict: DROP, reason: Some(reason), frame: Frame::Gone, ..self }
    }

    /// It opens a connection.
    pub fn opened(mut self) -> Self {
        self.counted.as_mut().unwrap().1.opened = 1;
        self
    }

    /// It closes a connection.
    pub fn closed(mut self) -> Self {
        self.counted.as_mut().unwrap().1.closed = 1;
        self
    }
}
