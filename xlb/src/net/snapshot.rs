//! Reading the network from the kernel into a `NetView`.
//!
//! Each kind of thing is one netlink dump. Dumps are not atomic: one that changed under the kernel's
//! hands is repeated, and what changes between two dumps is reported by `super::watch`, which must
//! therefore listen before the first snapshot is taken.

use futures_util::StreamExt;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::neighbour::NeighbourMessage;
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::Handle;
use rtnetlink::packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};

use super::Error;
use super::parse;
use super::view::NetView;
use super::watch::Changes;

/// How often an interrupted dump is repeated. Then what was read is taken: whatever interrupted it
/// is reported as a change, too.
const ATTEMPTS: u32 = 4;

/// Reads everything.
///
/// # Errors
///
/// If the kernel refuses a dump or the connection is closed.
pub async fn snapshot(handle: &Handle) -> Result<NetView, Error> {
    let mut view = NetView::default();
    refresh(handle, &mut view, Changes::ALL).await?;
    Ok(view)
}

/// Reads anew what has changed.
///
/// # Errors
///
/// As [`snapshot`]; the view then keeps what it had of that kind.
pub async fn refresh(handle: &Handle, view: &mut NetView, changes: Changes) -> Result<(), Error> {
    if changes.rules {
        view.custom_rules = custom_rules(handle).await?;
    }
    if changes.links {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        view.links = dump(handle, "interfaces", request, |message| match message {
            RouteNetlinkMessage::NewLink(link) => Some(parse::link(&link)),
            _ => None,
        })
        .await?;
    }
    if changes.links || changes.addresses {
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        view.addresses = dump(handle, "addresses", request, |message| match message {
            RouteNetlinkMessage::NewAddress(address) => parse::address(&address),
            _ => None,
        })
        .await?;
    }
    // IPv4 routes that vanish with their interface or address are not reported one by one.
    if changes.links || changes.addresses || changes.routes || changes.rules {
        view.routes = routes(handle, view.custom_rules).await?;
    }
    if changes.links || changes.neighbours {
        let request = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
        view.neighbours = dump(handle, "neighbours", request, |message| match message {
            RouteNetlinkMessage::NewNeighbour(neighbour) => parse::neighbour(&neighbour),
            _ => None,
        })
        .await?;
    }
    Ok(())
}

async fn routes(handle: &Handle, custom_rules: bool) -> Result<Vec<super::view::Route>, Error> {
    let mut routes = Vec::new();
    if custom_rules {
        return Ok(routes);
    }
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        let request = RouteNetlinkMessage::GetRoute(message);
        routes.extend(
            dump(handle, "routes", request, |message| match message {
                RouteNetlinkMessage::NewRoute(route) => parse::route(&route),
                _ => None,
            })
            .await?,
        );
    }
    Ok(routes)
}

async fn custom_rules(handle: &Handle) -> Result<bool, Error> {
    for (family, tables) in [
        (AddressFamily::Inet, &parse::DEFAULT_RULES4[..]),
        (AddressFamily::Inet6, &parse::DEFAULT_RULES6),
    ] {
        let mut message = RuleMessage::default();
        message.header.family = family;
        let request = RouteNetlinkMessage::GetRule(message);
        let mut rules = dump(handle, "routing rules", request, |message| match message {
            RouteNetlinkMessage::NewRule(rule) => Some(parse::plain_rule(&rule)),
            _ => None,
        })
        .await?;
        rules.sort_unstable();
        if !rules.into_iter().eq(tables.iter().copied().map(Some)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Asks for a dump and collects what `pick` makes of its messages.
async fn dump<T>(
    handle: &Handle,
    what: &'static str,
    request: RouteNetlinkMessage,
    pick: impl Fn(RouteNetlinkMessage) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let mut handle = handle.clone();
    let mut found = Vec::new();
    for _ in 0..ATTEMPTS {
        let mut message = NetlinkMessage::from(request.clone());
        message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let mut answers = handle.request(message).map_err(|source| Error::Dump { what, source })?;
        let mut interrupted = false;
        found = Vec::new();
        while let Some(answer) = answers.next().await {
            interrupted |= answer.header.flags & NLM_F_DUMP_INTR != 0;
            match answer.payload {
                NetlinkPayload::InnerMessage(message) => found.extend(pick(message)),
                NetlinkPayload::Error(error) => {
                    let source = rtnetlink::Error::NetlinkError(error);
                    return Err(Error::Dump { what, source });
                }
                _ => {}
            }
        }
        if !interrupted {
            break;
        }
    }
    Ok(found)
}
