//! The terminal, the keyboard, signals and the agent: all the I/O of the live view.
//!
//! A thread waits for keys, a task asks the agent, and one loop takes in what they say and draws.
//! However it ends (a key, a signal, an error, a panic), the terminal is as it was: `Screen`
//! restores it when dropped, and ratatui's hook does before a panic's message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crossterm::event::{self, Event as Input, KeyEvent};
use ratatui::DefaultTerminal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::MissedTickBehavior;

use super::app::{Action, App};
use super::theme::Theme;
use super::{input, render};
use crate::api::client::Client;
use crate::api::types::{Stats, Status};

/// How long the keyboard's thread waits before it looks whether it is still wanted.
const NAP: Duration = Duration::from_millis(100);

/// Something happened.
enum Event {
    Key(KeyEvent),
    Resized,
    Reading(Box<(Stats, Status)>),
    Missed(String),
    /// The terminal is gone.
    Closed,
}

/// The terminal, taken over.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> Result<Self> {
        Ok(Self(ratatui::try_init().context("cannot take over the terminal")?))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // With the terminal gone there is nothing to restore.
        let _ = self.0.show_cursor();
        let _ = ratatui::try_restore();
    }
}

/// Asks for what one picture needs.
pub async fn read(client: &Client) -> Result<(Stats, Status)> {
    tokio::try_join!(client.stats(), client.status())
}

/// Runs the live view until the user leaves. `app` has had its first reading.
pub async fn run(client: Client, mut app: App, theme: Theme) -> Result<()> {
    let begun = Instant::now();
    let (sender, mut events) = mpsc::channel(64);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut screen = Screen::open()?;
    let mut poller = tokio::spawn(poll(client, app.interval, sender.clone()));
    let keyboard = Keyboard::listen(sender);
    while !app.quit {
        app.now = begun.elapsed();
        draw(&mut screen, &app, theme)?;
        let event = tokio::select! {
            event = events.recv() => event,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => break,
            ended = &mut poller => return Err(ended.map_or_else(anyhow::Error::from, |()| {
                anyhow::anyhow!("the task that asks the agent has ended")
            })),
        };
        app.now = begun.elapsed();
        take_in(&mut app, &mut screen, event.unwrap_or(Event::Closed))?;
        drain(&mut app, &mut screen, &mut events)?;
    }
    poller.abort();
    drop(screen);
    // A thread that is sending must not wait for a loop that has ended.
    drop(events);
    keyboard.stop();
    Ok(())
}

/// Takes in what has come meanwhile, so that a held key draws once.
fn drain(app: &mut App, screen: &mut Screen, events: &mut Receiver<Event>) -> Result<()> {
    while let Ok(event) = events.try_recv() {
        take_in(app, screen, event)?;
    }
    Ok(())
}

fn take_in(app: &mut App, screen: &mut Screen, event: Event) -> Result<()> {
    match event {
        Event::Key(key) => match input::action(app, key) {
            Some(Action::Redraw) => screen.0.clear()?,
            Some(action) => app.act(action),
            None => {}
        },
        // Drawing asks for the size; what was on the screen is anybody's guess.
        Event::Resized => screen.0.clear()?,
        Event::Reading(reading) => app.reading(reading.0, Some(reading.1)),
        Event::Missed(error) => app.missed(error),
        Event::Closed => app.quit = true,
    }
    Ok(())
}

fn draw(screen: &mut Screen, app: &App, theme: Theme) -> Result<()> {
    screen.0.draw(|frame| render::draw(app, theme, frame.area(), frame.buffer_mut()))?;
    Ok(())
}

/// Asks the agent again and again; each time over a new connection, so that it may come and go.
async fn poll(client: Client, interval: Duration, events: Sender<Event>) {
    let client = client.patience(interval.max(Duration::from_secs(3)));
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once, and the first reading is there already.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let event = match read(&client).await {
            Ok(reading) => Event::Reading(Box::new(reading)),
            Err(error) => Event::Missed(format!("{error:#}")),
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// The thread that waits for keys.
struct Keyboard {
    wanted: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Keyboard {
    fn listen(events: Sender<Event>) -> Self {
        let wanted = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&wanted);
        let thread = std::thread::spawn(move || {
            while flag.load(Ordering::Relaxed) {
                let event =
                    match event::poll(NAP).and_then(|ready| ready.then(event::read).transpose()) {
                        Ok(None) => continue,
                        Ok(Some(Input::Key(key))) => Event::Key(key),
                        Ok(Some(Input::Resize(..))) => Event::Resized,
                        Ok(Some(_)) => continue,
                        Err(_) => Event::Closed,
                    };
                let closed = matches!(event, Event::Closed);
                if events.blocking_send(event).is_err() || closed {
                    return;
                }
            }
        });
        Self { wanted, thread }
    }

    fn stop(self) {
        self.wanted.store(false, Ordering::Relaxed);
        // A thread that panicked has nothing left to do either.
        let _ = self.thread.join();
    }
}
