//! Why a change was refused, in words for the operator.
//!
//! A rejection always says what was wrong (`error`) and what was expected or what to do (`help`).
//! Whoever gets one may rely on nothing having been changed.

use std::net::SocketAddr;

/// What kind of refusal it is; the API answers with the HTTP status of the same meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectionKind {
    /// The request itself is wrong, whatever the state.
    Invalid,
    /// It names something that does not exist.
    NotFound,
    /// It clashes with what exists, or there is no room.
    Conflict,
}

/// The part of a service that a rejection is about, for those who know where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it, or something else.
    Whole,
    /// Its name.
    Name,
    /// Its VIP.
    Vip,
    /// The number of its slots.
    Slots,
    /// Its direct clients.
    Direct,
    /// The backend with this address.
    Backend(SocketAddr),
}

/// A refused change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Rejection {
    /// What kind of refusal it is.
    pub kind: RejectionKind,
    /// What was wrong.
    pub error: String,
    /// What was expected and what to do.
    pub help: String,
    /// What it is about.
    pub part: Part,
}

impl Rejection {
    /// The request itself is wrong.
    pub fn invalid(error: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(RejectionKind::Invalid, error.into(), help.into())
    }

    /// It names something that does not exist.
    pub fn not_found(error: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(RejectionKind::NotFound, error.into(), help.into())
    }

    /// It clashes with what exists.
    pub fn conflict(error: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(RejectionKind::Conflict, error.into(), help.into())
    }

    fn new(kind: RejectionKind, error: String, help: String) -> Self {
        Self { kind, error, help, part: Part::Whole }
    }

    /// The same refusal, about a part of the service.
    pub(super) fn part(self, part: Part) -> Self {
        Self { part, ..self }
    }

    /// The same refusal, said of the object `what`.
    pub(super) fn of(mut self, what: &str) -> Self {
        self.error = format!("{what}: {}", self.error);
        self
    }
}

/// The one of `known` that `wanted` was most likely meant to be, if any is near enough.
pub(super) fn nearest<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // A third of the letters may be wrong, and one always may.
    let limit = (wanted.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wanted, name), name))
        .filter(|&(distance, _)| distance <= limit)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["web", "api", "dns-v6"];
        assert_eq!(nearest("wbe", known), Some("web"));
        assert_eq!(nearest("dns-v4", known), Some("dns-v6"));
        assert_eq!(nearest("mail", known), None);
        assert_eq!(nearest("x", ["a"]), Some("a"));
        assert_eq!(nearest("web", []), None);
    }
}
