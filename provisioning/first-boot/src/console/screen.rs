//! What does the screen look like?
//!
//! 24 lines of 80 columns of plain ASCII, so that a serial terminal shows the same as a monitor.

use super::{
    font,
    look::{State, View},
};

const COLUMNS: usize = 80;
const LINES: usize = 24;
/// More would push the rest off the screen.
const MOST_URLS: usize = 3;
const DAEMONS_IN_A_LINE: usize = 4;

/// The whole screen, line by line.
pub fn draw(view: &View) -> Vec<String> {
    let mut lines = vec![title(view), "=".repeat(COLUMNS - 1), String::new()];
    lines.extend(state(view));
    lines.push(String::new());
    lines.extend(fingerprint(view));
    lines.extend(daemons(view));
    lines.extend(view.health.iter().map(|health| format!(" Last health check: {health}")));
    lines.extend(view.settings_problem.iter().map(|problem| format!(" IGNORED {}", one_line(problem))));
    lines.truncate(LINES - 1);
    lines.resize(LINES - 1, String::new());
    lines.push(" r: draw again".to_owned());
    lines.into_iter().map(|line| fit(&line)).collect()
}

/// What a log of the serial line should say once, when it changes.
pub fn line(view: &View) -> Option<String> {
    let version = &view.version;
    match &view.state {
        State::Unclaimed { code } => Some(format!("ScaiBox {version}: claim code {code}")),
        State::Claimed => view.urls().next().map(|url| format!("ScaiBox {version}: ready {url}")),
        State::Starting | State::CodeExpired => None,
    }
}

fn title(view: &View) -> String {
    let left = format!(" ScaiBox {}", view.version);
    let room = (COLUMNS - 2).saturating_sub(left.len());
    format!("{left}{:>room$}", view.hostname)
}

fn state(view: &View) -> Vec<String> {
    match &view.state {
        State::Starting => vec![" The box is starting.".to_owned()],
        State::Unclaimed { code } => unclaimed(view, code),
        State::CodeExpired => {
            vec![
                " Nobody has claimed this box, and its claim code is older than a day.".to_owned(),
                " Restart the box for a new one.".to_owned(),
            ]
        }
        State::Claimed => {
            let mut lines = vec![" This box is in service. Open it in a browser:".to_owned(), String::new()];
            lines.extend(urls(view));
            lines
        }
    }
}

fn unclaimed(view: &View, code: &str) -> Vec<String> {
    let mut lines = vec![" Nobody has claimed this box. Open it in a browser and type the claim code:".to_owned()];
    lines.extend(urls(view));
    lines.push(String::new());
    lines.extend(font::big(code).map(|line| format!(" {line}")));
    lines.push(String::new());
    lines.push(format!(" Claim code: {code}"));
    lines
}

fn urls(view: &View) -> Vec<String> {
    let urls: Vec<String> = view.urls().take(MOST_URLS).map(|url| format!("     {url}")).collect();
    if urls.is_empty() { vec!["     no network address yet: is the cable in?".to_owned()] } else { urls }
}

/// 32 bytes are too long for one line.
fn fingerprint(view: &View) -> Vec<String> {
    let Some(fingerprint) = &view.fingerprint else { return vec![] };
    let (first, second) = fingerprint.split_at_checked(48).unwrap_or((fingerprint, ""));
    vec![format!(" Certificate SHA-256: {first}"), format!("                      {second}")]
}

fn daemons(view: &View) -> Vec<String> {
    let cell = |(name, runs): &(&str, bool)| format!(" {} {name:<14}", if *runs { "[ok]" } else { "[--]" });
    view.daemons.chunks(DAEMONS_IN_A_LINE).map(|row| row.iter().map(cell).collect()).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Cut to the screen; a full last column would make some terminals start a new line.
fn fit(line: &str) -> String {
    let plain = line.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' });
    plain.take(COLUMNS - 1).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use types::units::DAEMONS;

    fn view(state: State) -> View {
        View {
            version: "7".into(),
            hostname: "scaibox".into(),
            addresses: ["192.168.1.20", "fd00::20"].map(|ip| ip.parse().unwrap()).to_vec(),
            state,
            daemons: DAEMONS.map(|daemon| (daemon, daemon != "fleet-agent")).to_vec(),
            fingerprint: Some(["AB"; 32].join(":")),
            health: Some("passed, version 7, 2026-03-01 12:00 UTC".into()),
            settings_problem: None,
        }
    }

    fn unclaimed() -> View {
        view(State::Unclaimed { code: "ABCDE-23456".into() })
    }

    #[test]
    fn an_unclaimed_box_shows_its_code_from_afar() {
        insta::assert_snapshot!(draw(&unclaimed()).join("\n"));
    }

    #[test]
    fn a_claimed_box_shows_where_it_is() {
        insta::assert_snapshot!(draw(&view(State::Claimed)).join("\n"));
    }

    #[test]
    fn a_starting_box_without_a_network_says_what_it_ignores() {
        let settings_problem = Some("box.toml: TOML parse error at line 1\n  |\n1 | nmae".into());
        let starting = View { addresses: vec![], health: None, settings_problem, ..view(State::Starting) };
        insta::assert_snapshot!(draw(&starting).join("\n"));
    }

    #[test]
    fn the_fullest_screen_still_fits() {
        let addresses = (1..9).map(|n| IpAddr::from([192, 168, 1, n])).collect();
        let full = View {
            addresses,
            hostname: "x".repeat(99),
            settings_problem: Some("\u{1b}[31m€".repeat(50)),
            ..unclaimed()
        };
        let lines = draw(&full);
        assert_eq!(lines.len(), LINES);
        assert!(
            lines.iter().all(|line| line.len() < COLUMNS && line.chars().all(|c| c.is_ascii_graphic() || c == ' '))
        );
        assert!(lines.concat().contains("Claim code: ABCDE-23456") && lines.concat().contains("IGNORED"));
    }

    #[test]
    fn a_log_is_told_the_code_and_then_the_address() {
        assert_eq!(line(&unclaimed()).unwrap(), "ScaiBox 7: claim code ABCDE-23456");
        assert_eq!(line(&view(State::Claimed)).unwrap(), "ScaiBox 7: ready https://192.168.1.20/");
        assert_eq!(line(&view(State::Starting)), None);
    }
}
