//! The tree as clap checks it, and what words become.

use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use super::*;
use crate::api::types::{Announce, AttachMode, Protocol};

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace()).and_then(Cli::settle)
}

fn good(line: &str) -> Command {
    parse(line).unwrap_or_else(|error| panic!("{line}: {error}")).command
}

#[test]
fn the_tree_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_examples() {
    fn check(command: &clap::Command) {
        let name = command.get_name();
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.starts_with("Examples:\n  xlb "), "{name} has no examples");
        command.get_subcommands().for_each(check);
    }
    check(&Cli::command());
}

#[test]
fn examples_are_understood() {
    fn lines(command: &clap::Command, found: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let commands = help.lines().filter_map(|line| line.strip_prefix("  "));
        found.extend(commands.filter(|line| line.starts_with("xlb ")).map(str::to_owned));
        command.get_subcommands().for_each(|sub| lines(sub, found));
    }
    let mut found = vec![];
    lines(&Cli::command(), &mut found);
    assert!(found.len() > 30);
    for line in found {
        let command = line.split(['|', '>']).next().unwrap_or_default().replace('\'', "");
        // Two spaces or more set a remark apart.
        good(command.trim().split("   ").next().unwrap_or_default());
    }
}

#[test]
fn a_service_with_everything() {
    let Command::Service { command: ServiceCommand::Add(args) } = good(
        "xlb svc add web [2001:db8::1]:80/TCP --slots 1021 --announce none --direct 10.0.0.0/8 \
         -b [2001:db8::2]:81=4 --backend [2001:db8::3]:81",
    ) else {
        panic!("another command")
    };
    assert_eq!(args.vip.protocol, Protocol::Tcp);
    assert_eq!(args.vip.address.to_string(), "[2001:db8::1]:80");
    assert_eq!((args.slots, args.announce), (1021, Announce::None));
    assert_eq!(args.direct, ["10.0.0.0/8"]);
    let pool: Vec<_> = args.backend.iter().map(|b| (b.address.to_string(), b.weight)).collect();
    assert_eq!(pool, [("[2001:db8::2]:81".into(), 4), ("[2001:db8::3]:81".into(), 1)]);
}

#[test]
fn run_takes_everything_and_leaves_the_rest_to_the_configuration() {
    let line =
        "xlb --socket /s run -a eth0 -a eth1:native --pins /p --slots 9999 --log-format json";
    let Command::Run(args) = good(line) else { panic!("another command") };
    assert_eq!(args.socket.as_deref(), Some("/s".as_ref()));
    let attach: Vec<_> = args.attach.iter().map(|i| (i.name.as_str(), i.mode)).collect();
    assert_eq!(attach, [("eth0", AttachMode::Auto), ("eth1", AttachMode::Native)]);
    assert_eq!((args.slots, args.log_format), (Some(9999), Some(LogFormat::Json)));
    assert_eq!((args.state_dir, args.hash_key), (None, None));
}

#[test]
fn watch_has_a_default_and_takes_seconds() {
    let watch = |line| match good(line) {
        Command::Stats(args) => args.watch,
        _ => panic!("another command"),
    };
    assert_eq!(watch("xlb stats"), None);
    assert_eq!(watch("xlb stats web --watch"), Some(Duration::from_secs(1)));
    assert_eq!(watch("xlb stats --watch 0.5"), Some(Duration::from_millis(500)));
    assert_eq!(watch("xlb stats -w 250ms web"), Some(Duration::from_millis(250)));
}

#[test]
fn bench_learns_of_json_and_top_refuses_it() {
    let Command::Bench(args) = good("xlb bench --json --case tcp4 --case udp6 --quick") else {
        panic!("another command")
    };
    assert!(args.json && args.quick);
    assert_eq!(args.cases, ["tcp4", "udp6"]);
    let error = parse("xlb top --json").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
    assert!(error.to_string().contains("xlb stats --json --watch"));
}

#[test]
fn bad_words_are_wrong_usage_and_say_what_was_expected() {
    for (line, said) in [
        ("xlb service add web 192.0.2.1/tcp", "the port is missing: 192.0.2.1:80"),
        ("xlb service add web 192.0.2.1:80", "the protocol is missing: 192.0.2.1:80/tcp"),
        ("xlb service add web 192.0.2.1:80/sctp", "`sctp` is neither tcp nor udp"),
        ("xlb service add _web 192.0.2.1:80/tcp", "start with a letter or a digit"),
        ("xlb service add web 192.0.2.1:80/tcp --slots 3", "3 is not in 7..=1048573"),
        ("xlb service add web 192.0.2.1:80/tcp -b 10.0.0.1:80=65536", "expected 0 to 65535"),
        ("xlb service add web 192.0.2.1:80/tcp --direct 10.0.0.0/33", "no length from 0 to 32"),
        ("xlb service add web 192.0.2.1:80/tcp --mode dsr", "possible values: nat"),
        ("xlb backend add web 10.0.0.1", "the port is missing: 10.0.0.1:80"),
        ("xlb backend add web 10.0.0.1:80 --weight 65536", "65536 is not in 0..=65535"),
        ("xlb backend weight web 10.0.0.1:80", "<N>"),
        ("xlb attach eth0/1", "expected an interface's name"),
        ("xlb run --attach eth0:fast", "`fast` is no mode"),
        ("xlb run --hash-key 00ff", "expected 80 hex digits, not 4"),
        ("xlb stats --watch 0", "expected seconds"),
        ("xlb statsu", "tip"),
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains(said), "{line}: {error}");
    }
}
