//! What a configuration means, where its errors are said to be, and when it is applied.

use super::*;
use crate::api::types::{AttachMode, BackendSpec, Protocol};

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("xlb.toml"))
}

const WEB: &str = r#"
[agent]
slots = 100_000
attach = ["eth0", "eth1:native"]

[[service]]
name = "web"
vip = "192.0.2.1:80"
protocol = "tcp"
slots = 251
direct = ["10.9.0.0/16"]

[[service.backend]]
address = "10.0.0.1:80"

[[service.backend]]
address = "10.0.0.2:80"
weight = 3
interface = "eth1"

[[service]]
name = "dns"
vip = "[2001:db8::1]:53"
protocol = "udp"
"#;

#[test]
fn a_file_is_read() {
    let config = parse(WEB).unwrap();
    assert_eq!((config.slots, &config.pins), (100_000, &PathBuf::from(DEFAULT_PINS)));
    let modes: Vec<_> = config.attach.iter().map(|i| (i.name.as_str(), i.mode)).collect();
    assert_eq!(modes, [("eth0", AttachMode::Auto), ("eth1", AttachMode::Native)]);
    let [web, dns] = &config.services[..] else { panic!("{config:?}") };
    assert_eq!((web.slots, web.direct.len(), web.backends.len()), (251, 1, 2));
    let second = BackendSpec {
        address: "10.0.0.2:80".parse().unwrap(),
        weight: 3,
        interface: Some("eth1".into()),
    };
    assert_eq!((web.backends[0].weight, &web.backends[1]), (1, &second));
    assert_eq!((dns.protocol, dns.slots), (Protocol::Udp, 65_537));
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse("").unwrap(), Config::default());
    assert_eq!(parse("[agent]\n").unwrap(), Config::default());
    let missing = Config::load(Path::new("/nonexistent/xlb.toml")).unwrap_err();
    assert!(missing.missing && missing.to_string().contains("/nonexistent"), "{missing}");
    let directory = Config::load(Path::new("/")).unwrap_err();
    assert!(!directory.missing, "{directory}");
}

#[test]
fn an_error_says_where_it_is() {
    // The text to replace in WEB, by what, where the error then is, its words, its help.
    for (from, to, place, error, help) in [
        ("slots = 100_000", "slots = \"many\"", (3, 9), "expected u32", ""),
        ("slots = 100_000", "slots = 3", (3, 9), "out of range", "7 to"),
        ("slots = 100_000", "slots = 100", (6, 1), "no room", "raise `slots`"),
        ("slots = 100_000", "socket = \"xlb.sock\"", (3, 10), "absolute", "'/'"),
        ("slots = 100_000", "hash_key = \"6d5a\"", (3, 12), "hash_key", "40 bytes"),
        ("slots = 100_000", "sloots = 3", (3, 1), "unknown field `sloots`", "above it"),
        ("slots = 100_000", "slots = ", (3, 9), "", ""),
        ("eth0", "eth0:fast", (4, 11), "\"fast\" is not a mode", "auto, native or generic"),
        ("eth0", "eth 0", (4, 11), "interface", "1 to 15"),
        ("eth0", "eth1", (4, 19), "eth1 is there twice", "once"),
        ("[[service]]\nname = \"dns", "[[services]]\nname = \"dns", (21, 3), "`services`", ""),
        ("\"web\"", "\"we b\"", (7, 8), "name", "1 to 63"),
        ("\"dns\"", "\"web\"", (22, 8), "already there", "another name"),
        ("192.0.2.1:80", "192.0.2.1", (8, 7), "socket address", "ADDRESS:PORT"),
        ("192.0.2.1:80", "192.0.2.1:0", (8, 7), "port 0", "1 to 65535"),
        ("\"tcp\"", "\"sctp\"", (9, 12), "unknown variant `sctp`, expected `tcp` or `udp`", ""),
        ("slots = 251", "slots = 3", (10, 9), "3 slots", "7 to 1048573"),
        ("10.9.0.0/16", "10.9.1.0/16", (11, 10), "bits set", "10.9.0.0/16"),
        ("weight = 3", "weight = 70000", (16, 1), "weight 70000", "0 to 65535"),
        ("10.0.0.2:80", "10.0.0.1:80", (16, 1), "twice", "once"),
        ("10.0.0.2:80", "[2001:db8::2]:80", (16, 1), "family", "IPv4 backends"),
        ("10.0.0.2:80", "192.0.2.1:80", (16, 1), "VIP itself", "real server"),
        ("protocol = \"udp\"\n", "", (21, 1), "missing field `protocol`", ""),
    ] {
        assert!(WEB.contains(from), "{from}");
        let text = WEB.replacen(from, to, 1);
        let e = parse(&text).unwrap_err();
        assert_eq!(e.place, Some(place), "{to}: {e}");
        assert!(e.error.contains(error), "{to}: {e}");
        assert!(e.help.clone().unwrap_or_default().contains(help), "{to}: {:?}", e.help);
        assert!(e.to_string().starts_with(&format!("xlb.toml:{}:{}: ", place.0, place.1)), "{e}");
    }
}

#[test]
fn keys_are_read_as_ethtool_prints_them() {
    let key = "6d:5a:".to_owned() + &"00 ".repeat(38);
    let config = parse(&format!("[agent]\nhash_key = \"{key}\"")).unwrap();
    let key = config.hash_key.unwrap();
    assert_eq!((key[0], key[1], key[39]), (0x6d, 0x5a, 0));
}

#[test]
fn it_is_applied_when_it_differs_from_what_was_applied_last() {
    let mut state = State::new(200_000);
    let config = parse(WEB).unwrap();
    let effect = config.apply(&mut state).unwrap();
    assert_eq!(effect.changes.len(), 4, "{effect:?}");
    assert_eq!((state.model.services().len(), state.model.interfaces().len()), (2, 2));

    // The same again, with other paths and comments: the operator's changes stay.
    state.model.remove_service("dns").unwrap();
    state.model.remove_interface("eth0").unwrap();
    let changed = state.clone();
    let text = WEB.replace("[agent]", "# A comment.\n[agent]\nsocket = \"/tmp/s\"");
    assert_eq!(parse(&text).unwrap().apply(&mut state), Ok(Effect::default()));
    assert_eq!(state, changed);

    // Other services: they are made so, and the interfaces are left alone.
    let text = WEB.replace("weight = 3", "weight = 4");
    let effect = parse(&text).unwrap().apply(&mut state).unwrap();
    assert_eq!(effect.changes.len(), 2, "{effect:?}");
    assert_eq!((state.model.services().len(), state.model.interfaces().len()), (2, 1));

    // Another interface: the services are left alone.
    state.model.remove_service("dns").unwrap();
    let text = text.replace("eth1:native", "eth2");
    let effect = parse(&text).unwrap().apply(&mut state).unwrap();
    assert_eq!(effect.changes.len(), 3, "{effect:?}");
    assert_eq!((state.model.services().len(), state.model.interfaces().len()), (1, 2));

    // Nothing listed any more: removed, once.
    let effect = parse("").unwrap().apply(&mut state).unwrap();
    assert_eq!((effect.changes.len(), state.model.services().len()), (3, 0));
    state.model.release_retired();
    state.model.apply_services(&config.services).unwrap();
    assert_eq!(parse("").unwrap().apply(&mut state), Ok(Effect::default()));
    assert_eq!(state.model.services().len(), 2);
}

#[test]
fn a_refused_configuration_changes_nothing() {
    let mut state = State::new(100_000);
    parse(WEB).unwrap().apply(&mut state).unwrap();
    let before = state.clone();
    let bigger = WEB.replace("slots = 251", "slots = 509");
    let refused = parse(&bigger).unwrap().apply(&mut state).unwrap_err();
    assert!(refused.error.contains("can't become 509"), "{refused:?}");
    let other = WEB.replace("eth0", "eth9").replace("slots = 251", "slots = 509");
    parse(&other).unwrap().apply(&mut state).unwrap_err();
    let key = format!("hash_key = \"{}\"", "01".repeat(40));
    let other_key = WEB.replace("slots = 100_000", &key);
    let refused = parse(&other_key).unwrap().apply(&mut state).unwrap_err();
    assert!(refused.error.contains("hash_key"), "{refused:?}");
    assert_eq!(state, before);

    let mut empty = State::new(100_000);
    parse(&other_key).unwrap().apply(&mut empty).unwrap();
    assert_eq!(empty.hash_key, [1; 40]);
    // Without a key in the file, the one in the state goes on.
    parse(WEB).unwrap().apply(&mut empty).unwrap();
    assert_eq!(empty.hash_key, [1; 40]);
}

#[test]
fn the_documented_configurations_are_good() {
    let docs = include_str!("../../../docs/configuration.md");
    let blocks: Vec<&str> =
        docs.split("```toml\n").skip(1).map(|b| b.split_once("```").unwrap().0).collect();
    assert_eq!(blocks.len(), 1);
    assert_eq!(parse(blocks[0]).unwrap().services[0].backends.len(), 2);

    let example = include_str!("../../../dist/xlb.toml");
    assert_eq!(parse(example).unwrap(), Config::default());
    let uncommented: Vec<&str> = example
        .lines()
        .map(|line| line.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(line))
        .collect();
    let shown = parse(&uncommented.join("\n")).unwrap();
    assert_eq!((shown.attach.len(), shown.services[0].backends.len()), (2, 2));
    let defaults = Config {
        attach: shown.attach.clone(),
        services: shown.services.clone(),
        hash_key: shown.hash_key,
        ..Config::default()
    };
    assert_eq!(shown, defaults);
    assert_eq!(shown.hash_key, Some(xlb_common::toeplitz::STANDARD_KEY));
}
