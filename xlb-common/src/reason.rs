//! Verdicts: why a packet was passed or dropped, each with a name and a line of documentation.
//!
//! The program counts every packet that it does not forward under one of these, and forwarded ones
//! under their target. The names are what the command line, the API and the metrics show.

/// What happens to a packet that is counted under a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes on to the kernel as it came.
    Pass,
    /// It goes on to the kernel rewritten, for the kernel to forward.
    HandUp,
    /// It ends here.
    Drop,
}

impl Action {
    /// The word that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::HandUp => "hand-up",
            Self::Drop => "drop",
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $id:literal, $name:literal, $action:ident;)+) => {
        /// Why a packet was not simply forwarded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant = $id,)+
        }

        impl Reason {
            /// All of them, in the order of their ids.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name that users see.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One line that says what it means and, where there is something to do, what.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+ }
            }

            /// What happens to the packet.
            pub const fn action(self) -> Action {
                match self { $(Self::$variant => Action::$action,)+ }
            }
        }
    };
}

reasons! {
    /// Neither for a service nor from a backend.
    NotOurs = 0, "not-ours", Pass;
    /// Not IPv4 or IPv6: ARP and the like.
    NotIp = 1, "not-ip", Pass;
    /// Headers that end early or contradict themselves; the kernel judges them.
    Malformed = 2, "malformed", Pass;
    /// A fragment without ports; which flow it belongs to is not known.
    Fragment = 3, "fragment", Pass;
    /// An IPv6 extension header that is not walked, or more of them than the bound.
    ExtensionHeader = 4, "extension-header", Pass;
    /// From a backend to this node itself, as a health check's answer is, or to where no route leads.
    ToNode = 5, "to-node", Pass;
    /// A connection that a backend itself opens from its service port.
    BackendsOwn = 6, "backends-own", Pass;
    /// From a backend to a client that is listed as talking to it directly.
    Direct = 7, "direct", Pass;
    /// Next hop not known yet, or not reachable for XDP: the kernel forwards the rewritten packet.
    HandedUp = 16, "handed-up", HandUp;
    /// Over the next hop's MTU, IPv4 without DF: the kernel fragments the rewritten packet.
    HandedUpToFragment = 17, "handed-up-to-fragment", HandUp;
    /// For a service that has no backend to send to.
    NoBackend = 32, "no-backend", Drop;
    /// The first fragment of a packet of a service or a backend.
    FirstFragment = 33, "first-fragment", Drop;
    /// TTL or hop limit ran out.
    TtlExpired = 34, "ttl-expired", Drop;
    /// Over the next hop's MTU, and not allowed to be fragmented.
    OverMtu = 35, "over-mtu", Drop;
    /// From the very backend that was chosen: a backend that is its own client needs another mode.
    Hairpin = 36, "hairpin", Drop;
    /// The source is the VIP itself.
    Martian = 37, "martian", Drop;
    /// From a backend's address, but not through the interface that its replies come from.
    Spoofed = 38, "spoofed", Drop;
    /// A route forbids packets to the client or the backend.
    Prohibited = 39, "prohibited", Drop;
    /// The kernel would not take the packet for the interface that it was redirected to.
    RedirectFailed = 40, "redirect-failed", Drop;
    /// No room in the frame for the next hop's VLAN tag.
    NoHeadroom = 41, "no-headroom", Drop;
    /// A table of the program is smaller than the control plane thinks: please report it.
    Internal = 42, "internal", Drop;
}

impl Reason {
    /// The reason with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.name() == name)
    }
}

const _: () = {
    let mut i = 0;
    while i < Reason::ALL.len() {
        assert!((Reason::ALL[i] as usize) < crate::layout::REASONS);
        assert!(i == 0 || (Reason::ALL[i - 1] as u32) < Reason::ALL[i] as u32);
        i += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_lead_back() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.name()), Some(*reason));
            assert!(reason.description().ends_with('.'), "{reason:?}");
        }
        assert_eq!(Reason::from_name("nonsense"), None);
    }
}
