//! From the file's shape to a checked configuration.
//!
//! The services are put into an empty model one by one, so that what the model refuses is found out
//! before anything runs, and can be shown where it stands in the file.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use xlb_common::layout::{DEFAULT_SLOTS, SLOT_RANGE};
use xlb_common::toeplitz::{KEY_BYTES, Key};

use super::{Config, file};
use crate::api::types::{AttachMode, BackendSpec, InterfaceSpec, ServiceSpec};
use crate::model::{Model, Part, Rejection};

/// A refusal, and what it is about.
pub(super) struct Rejected {
    pub(super) span: Range<usize>,
    pub(super) rejection: Rejection,
}

fn at(span: Range<usize>) -> impl FnOnce(Rejection) -> Rejected {
    move |rejection| Rejected { span, rejection }
}

pub(super) fn check(file: file::File) -> Result<Config, Rejected> {
    let file::File { agent, services } = file;
    let mut config = Config::default();
    let file::Agent { socket, state_dir, pins, slots, hash_key, attach } = agent;
    for (field, value) in
        [(&mut config.socket, socket), (&mut config.state_dir, state_dir), (&mut config.pins, pins)]
    {
        if let Some(value) = value {
            *field = absolute(value)?;
        }
    }
    if let Some(slots) = slots {
        let span = slots.span();
        config.slots = capacity(slots.into_inner()).map_err(at(span))?;
    }
    if let Some(key) = hash_key {
        let span = key.span();
        config.hash_key = Some(parse_key(&key.into_inner()).map_err(at(span))?);
    }
    let mut model = Model::new(config.slots);
    for interface in attach {
        let span = interface.span();
        let spec = parse_attach(&interface.into_inner()).map_err(at(span.clone()))?;
        model.add_interface(&spec).map_err(|_| {
            at(span)(Rejection::invalid(
                format!("interface {} is there twice", spec.name),
                "list every interface once",
            ))
        })?;
        config.attach.push(spec);
    }
    for entry in services {
        config.services.push(service(entry, &mut model)?);
    }
    Ok(config)
}

/// Puts a service into the model; what is refused is said of the place where it stands.
fn service(entry: Spanned<file::Service>, model: &mut Model) -> Result<ServiceSpec, Rejected> {
    let whole = entry.span();
    let file::Service { name, vip, protocol, mode, slots, announce, direct, backends } =
        entry.into_inner();
    let spans = (name.span(), vip.span(), slots.as_ref().map(Spanned::span));
    let direct_span = direct.as_ref().map(Spanned::span);
    let mut backend_spans = Vec::new();
    let backend = |entry: Spanned<file::Backend>| {
        let span = entry.span();
        let file::Backend { address, weight, interface } = entry.into_inner();
        backend_spans.push((address, span));
        BackendSpec { address, weight: weight.unwrap_or(1), interface }
    };
    let spec = ServiceSpec {
        backends: backends.into_iter().map(backend).collect(),
        name: name.into_inner(),
        vip: vip.into_inner(),
        protocol,
        mode,
        slots: slots.map_or(DEFAULT_SLOTS, Spanned::into_inner),
        announce,
        direct: direct.map(Spanned::into_inner).unwrap_or_default(),
    };
    match model.add_service(&spec) {
        Ok(_) => Ok(spec),
        Err(rejection) => {
            let span = match rejection.part {
                Part::Whole => None,
                Part::Name => Some(spans.0),
                Part::Vip => Some(spans.1),
                Part::Slots => spans.2,
                Part::Direct => direct_span,
                // Of a backend that is there twice, the second one is too many.
                Part::Backend(wanted) => {
                    backend_spans.into_iter().rfind(|(a, _)| *a == wanted).map(|(_, span)| span)
                }
            };
            Err(Rejected { span: span.unwrap_or(whole), rejection })
        }
    }
}

fn absolute(path: Spanned<PathBuf>) -> Result<PathBuf, Rejected> {
    let span = path.span();
    let path = path.into_inner();
    if path.is_absolute() {
        return Ok(path);
    }
    Err(at(span)(Rejection::invalid(
        format!("{:?} is not an absolute path", path.display().to_string()),
        "begin it with '/'",
    )))
}

fn capacity(slots: u32) -> Result<u32, Rejection> {
    // Slot words are 4 bytes each; a GiB of them is more than all services can use.
    const MAX: u32 = 1 << 28;
    if (*SLOT_RANGE.start()..=MAX).contains(&slots) {
        return Ok(slots);
    }
    Err(Rejection::invalid(
        format!("{slots} slots are out of range"),
        format!("room for {} to {MAX} slots, 4 bytes each", SLOT_RANGE.start()),
    ))
}

fn parse_key(text: &str) -> Result<Key, Rejection> {
    let mut key = [0; KEY_BYTES];
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    match hex::decode_to_slice(&digits, &mut key) {
        Ok(()) => Ok(key),
        Err(e) => Err(Rejection::invalid(
            format!("hash_key is not a key: {e}"),
            format!(
                "expected {KEY_BYTES} bytes in hexadecimal, as ethtool -x prints them; \
                 `openssl rand -hex {KEY_BYTES}` makes some"
            ),
        )),
    }
}

/// Reads `IFACE` or `IFACE:MODE`, as `attach` and `xlb run --attach` have it.
pub fn parse_attach(text: &str) -> Result<InterfaceSpec, Rejection> {
    let (name, mode) = match text.split_once(':') {
        None => (text, AttachMode::Auto),
        Some((name, "auto")) => (name, AttachMode::Auto),
        Some((name, "native")) => (name, AttachMode::Native),
        Some((name, "generic")) => (name, AttachMode::Generic),
        Some((_, mode)) => {
            return Err(Rejection::invalid(
                format!("{text:?}: {mode:?} is not a mode"),
                "expected INTERFACE or INTERFACE:MODE, the mode auto, native or generic",
            ));
        }
    };
    let spec = InterfaceSpec { name: name.to_owned(), mode };
    Model::new(0).add_interface(&spec)?;
    Ok(spec)
}
