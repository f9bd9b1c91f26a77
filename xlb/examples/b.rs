fn main() { let a: Vec<String> = std::env::args().collect();
 let r = xlb::bench::measure(&xlb::bench::Settings{rounds: a[1].parse().unwrap(), packets: a[2].parse().unwrap(), only: a[3..].to_vec()}).map_err(|e| {println!("{e:?}"); e}).unwrap();
 println!("{} verified {} floor {:?}", r.entry, r.verified_instructions, r.floor);
 for l in r.results { println!("{:16} {:8} {:6.1} [{:5.1}..{:5.1}] floor {:5.1} net {:5.1} {:.2}", l.case, l.flows, l.median_ns, l.min_ns, l.max_ns, l.floor_ns, l.net_ns, l.net_over_floor); } }
