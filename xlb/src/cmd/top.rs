//! `xlb top`: to the terminal, or one frame as text.

use std::io::IsTerminal;

use anyhow::Result;

use crate::api::client::Client;
use crate::cli::{ColorWhen, TopArgs};
use crate::fault::Fault;
use crate::output::{Output, wants_color};
use crate::tui::app::App;
use crate::tui::theme::Theme;
use crate::tui::{live, once};

/// Width of `--once` where nothing says another.
const WIDTH: u16 = 100;

/// Runs it until the user leaves.
pub async fn run(client: &Client, output: &Output, args: TopArgs, color: ColorWhen) -> Result<()> {
    let terminal = std::io::stdout().is_terminal();
    if !terminal && !args.once {
        return Err(Fault::new("`xlb top` needs a terminal, and standard output is none")
            .help("use `xlb top --once` for one frame, or `xlb stats --watch`")
            .into());
    }
    let theme = Theme::new(wants_color(color, terminal), |name| std::env::var(name).ok());
    let mut app = App::new(args.interval);
    // The first reading is made before the screen is taken: with no agent this ends as any command.
    let (stats, status) = live::read(client).await?;
    app.reading(stats, Some(status));
    if !args.once {
        return live::run(client.clone(), app, theme).await;
    }
    tokio::time::sleep(args.interval).await;
    let (stats, status) = live::read(client).await?;
    app.reading(stats, Some(status));
    output.text(&once::text(&app, theme, width(terminal)))
}

/// As wide as the terminal, or as COLUMNS says.
fn width(terminal: bool) -> u16 {
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    let size = || crossterm::terminal::size().ok().map(|(width, _)| width).filter(|w| *w > 0);
    let width = if terminal { size().or_else(columns) } else { columns() };
    width.unwrap_or(WIDTH).clamp(60, 400)
}
