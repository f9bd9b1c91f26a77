//! What runs inside a lab's namespaces: the UDP service and the load clients. Its arguments are
//! written and read by the same library, so they are positional and plain.

use std::{env, net::SocketAddr, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use xlb_tests::{
    echo,
    load::{Kind, Plan, client},
};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xlb-lab-tool: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["echo", name, listen @ ..] => {
            let listen = listen
                .iter()
                .map(|address| address.parse().with_context(|| format!("address {address}")))
                .collect::<Result<Vec<SocketAddr>>>()?;
            echo::answer(name, &listen)
        }
        ["load", kind, target, workers, rate, retries] => client::work(Plan {
            kind: Kind::ALL
                .into_iter()
                .find(|known| known.name() == *kind)
                .with_context(|| format!("kind {kind}"))?,
            target: target.parse().context("target")?,
            workers: workers.parse().context("workers")?,
            rate: rate.parse().context("rate")?,
            retries: retries.parse().context("retries")?,
        }),
        _ => bail!("echo NAME ADDRESS... | load KIND TARGET WORKERS RATE RETRIES"),
    }
}
