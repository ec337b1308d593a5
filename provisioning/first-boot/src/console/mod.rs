//! What does somebody see who stands in front of the box?
//!
//! A full screen of plain text on tty1 and the serial line, drawn again when something changed: the
//! box's addresses, its claim code, how its daemons do. There is no shell and nothing to type: `r`
//! draws again, every other key is ignored. When the state changes, one plain line says so above the
//! screen, for whoever reads the serial line from a log.
//!
//! [`look`] gathers what is shown, [`screen`] draws it, [`keys`] waits for `r`.

mod font;
mod keys;
pub mod look;
pub mod screen;

use crate::{here, layout::Layout};
use daemon::unix_http::Client;
use keys::{Keys, Pressed};
use look::View;
use std::{
    io::{self, Write},
    time::Duration,
};

const LOOK_AGAIN: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(2);
const CONTROL_API: &str = "/run/control-api/control.sock";
const CLEAR_AND_HOME: &str = "\x1b[2J\x1b[H";

/// Shows the box until the terminal goes away.
pub async fn run(layout: &Layout) -> anyhow::Result<()> {
    let control_api = Client::new(CONTROL_API).with_limit(PATIENCE);
    let keys = Keys::open()?;
    let (mut shown, mut redraw) = (None, false);
    loop {
        let view = look::look(layout, &control_api, here::uptime()?).await?;
        if redraw || shown.as_ref() != Some(&view) {
            show(&view, shown.as_ref())?;
        }
        shown = Some(view);
        redraw = match keys.wait(LOOK_AGAIN)? {
            Pressed::Redraw => true,
            Pressed::Nothing => false,
            Pressed::Gone => return Ok(()),
        };
    }
}

/// A log takes the line, a screen shows what follows it.
fn show(view: &View, before: Option<&View>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let line = screen::line(view).filter(|line| before.and_then(screen::line).as_ref() != Some(line));
    if let Some(line) = line {
        write!(out, "\r\n{line}\r\n")?;
    }
    write!(out, "{CLEAR_AND_HOME}{}", screen::draw(view).join("\r\n"))?;
    out.flush()
}
