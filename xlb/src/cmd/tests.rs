//! What the commands print, as snapshots.

use super::*;
use crate::cli::StatsArgs;
use crate::fixtures;
use crate::output::Paint;
use std::time::Duration;

const PLAIN: Paint = Paint { color: false };

#[test]
fn status_is_one_screen() {
    let text = status::render(&fixtures::status(), PLAIN);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn status_of_an_agent_with_nothing_to_do() {
    let mut status = fixtures::status();
    status.interfaces.clear();
    status.services.clear();
    status.warnings.clear();
    insta::assert_snapshot!(status::render(&status, PLAIN));
}

#[test]
fn services_and_backends() {
    let services = fixtures::services();
    insta::assert_snapshot!("service_list", service::service_table(&services).render(PLAIN));
    insta::assert_snapshot!("backend_list", backend::pool_table(&services, true).render(PLAIN));
    insta::assert_snapshot!("service_show", service::show(&services[3], PLAIN));
}

#[test]
fn stats_once() {
    let stats = fixtures::stats(60);
    insta::assert_snapshot!(stats::render(&stats, None, &StatsArgs::default(), PLAIN));
}

#[test]
fn stats_in_full() {
    let args = StatsArgs { all: true, exact: true, ..<_>::default() };
    insta::assert_snapshot!(stats::render(&fixtures::stats(60), None, &args, PLAIN));
}

#[test]
fn stats_of_one_service() {
    let mut stats = fixtures::stats(60);
    stats.services.retain(|service| service.name == "dns");
    let args = StatsArgs { service: Some("dns".into()), ..<_>::default() };
    insta::assert_snapshot!(stats::render(&stats, None, &args, PLAIN));
}

#[test]
fn stats_with_rates() {
    let args = StatsArgs { watch: Some(Duration::from_secs(1)), ..<_>::default() };
    let (old, new) = (fixtures::stats(60), fixtures::stats(62));
    insta::assert_snapshot!("stats_rates", stats::render(&new, Some(&old), &args, PLAIN));
    let first = stats::render(&old, None, &args, PLAIN);
    let cells: Vec<_> = first.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    assert_eq!(cells[cells.len() - 2..], ["-", "-"], "{first}");
}
