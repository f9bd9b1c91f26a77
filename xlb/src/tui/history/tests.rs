//! Rates, windows and the past, reading by reading.

use super::*;
use crate::fixtures;

fn after(readings: impl IntoIterator<Item = Stats>) -> History {
    let mut history = History::default();
    readings.into_iter().for_each(|stats| history.push(stats, Some(fixtures::status())));
    history
}

fn row<'a>(history: &'a History, name: &str) -> &'a ServiceRow {
    history.services.iter().find(|row| row.name == name).unwrap()
}

#[test]
fn one_reading_has_rows_and_no_rates() {
    let history = after([fixtures::stats(5)]);
    assert!(!history.rated);
    assert_eq!(history.services.len(), 5);
    assert_eq!(history.packets, Ring::default());
    assert_eq!(row(&history, "web").window, 0.0);
    assert!(row(&history, "web").backends.iter().all(|backend| backend.actual.is_none()));
    assert_eq!(row(&history, "api").state.0, "1 no route");
}

#[test]
fn rates_follow_the_clock_of_the_readings() {
    let history = after([fixtures::stats(16), fixtures::stats(18)]);
    // The wave adds nothing in second 16 and a tenth in second 17.
    assert_eq!(row(&history, "dns").rate.request_packets, 48_000.0 * 1.05);
    let sum: f64 = history.services.iter().map(|row| row.rate.packets()).sum();
    assert!((history.total.packets() - sum).abs() < 1e-6);
    assert_eq!(history.packets.last(9).collect::<Vec<_>>(), [history.total.packets()]);
    assert_eq!(history.cpus.len(), 4);
    assert_eq!(history.cpus[0].softirq, 0.47);
}

#[test]
fn a_removed_service_makes_a_dip_and_no_spike() {
    let mut readings = [fixtures::stats(30), fixtures::stats(31), fixtures::stats(32)];
    let gone = readings[1].services.remove(3);
    assert_eq!(gone.name, "web");
    readings[2].services.remove(3);
    for reading in &mut readings[1..] {
        reading.total.request_packets -= gone.counters.request_packets;
    }
    let [_, dip, after_it] = readings.clone();
    let normal = after([fixtures::stats(30), fixtures::stats(31)]).total.packets();
    let history = after([readings[0].clone(), dip, after_it]);
    assert!(history.packets.last(9).all(|packets| packets > 0.0 && packets < normal));
    assert!(history.services.iter().all(|row| row.name != "web"));
}

#[test]
fn counters_that_start_anew_stand_still_once() {
    let mut anew = fixtures::stats(3);
    anew.at_ns = fixtures::stats(41).at_ns;
    let mut next = fixtures::stats(4);
    next.at_ns = fixtures::stats(42).at_ns;
    let history = after([fixtures::stats(40), anew, next]);
    let past: Vec<f64> = history.packets.last(9).collect();
    assert_eq!(past[0], 0.0);
    assert!(past[1] > 0.0);
    assert_eq!(row(&history, "web").window, 1.0);
    assert!(row(&history, "web").backends[0].actual.is_some_and(|actual| actual > 0.3));
}

#[test]
fn a_clock_that_went_back_begins_anew_and_keeps_the_past() {
    let history = after([fixtures::stats(40), fixtures::stats(41), fixtures::stats(5)]);
    assert_eq!(history.packets.last(9).len(), 1);
    assert_eq!(row(&history, "web").window, 0.0);
}

#[test]
fn shares_are_over_a_minute() {
    let history = after((0..200).map(fixtures::stats));
    let web = row(&history, "web");
    assert!((60.0..=70.0).contains(&web.window), "{}", web.window);
    assert_eq!(web.basis, Basis::Connections);
    assert_eq!(row(&history, "dns").basis, Basis::Packets);
    for backend in &web.backends {
        let actual = backend.actual.unwrap();
        assert!((actual - backend.expected).abs() < 0.01, "{backend:?}");
    }
}

#[test]
fn shares_begin_anew_when_the_pool_changes() {
    let weight = |stats: &mut Stats| stats.services[3].backends[0].weight = 9;
    let share = |stats: &mut Stats| stats.services[3].backends[0].share = 0.6;
    let backend = |stats: &mut Stats| stats.services[3].backends.truncate(3);
    let changes: [&dyn Fn(&mut Stats); 3] = [&weight, &share, &backend];
    for change in changes {
        let changed = |second| {
            let mut stats = fixtures::stats(second);
            change(&mut stats);
            stats
        };
        let history = after((0..33).map(fixtures::stats).chain((33..37).map(changed)));
        assert_eq!(row(&history, "web").window, 3.0);
        // The others' window goes on.
        assert_eq!(row(&history, "dns").window, 36.0);
    }
}

#[test]
fn drops_come_first_and_only_what_counted() {
    let history = after([fixtures::stats(1), fixtures::stats(3)]);
    let reasons: Vec<_> =
        history.reasons.iter().map(|row| (row.reason.as_str(), row.rate)).collect();
    let expected = [
        ("no-backend", 12.0),
        ("martian", 3.0),
        ("handed-up", 41.0),
        ("not-ours", 230.0),
        ("not-ip", 2.0),
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn the_past_is_bounded() {
    let mut ring = Ring::default();
    (0..1000).for_each(|i| ring.push(f64::from(i)));
    assert_eq!(ring.last(usize::MAX).len(), PAST);
    assert_eq!(ring.last(2).collect::<Vec<_>>(), [998.0, 999.0]);
    assert_eq!(ring.recent(), 995.5);
    assert_eq!(Ring::default().recent(), 0.0);
}
