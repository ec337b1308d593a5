//! How is livekit-sip?
//!
//! Its health port says so: 200, 429 when it is busy, 503 when it takes no calls. [`Condition`] is what others are told.

use std::{io, net::Ipv4Addr, time::Duration};
use tokio::net::TcpListener;

/// Whoever takes longer does not answer.
const LIMIT: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Its process runs; nothing is heard of it yet.
    #[default]
    Starting,
    Serves,
    /// It serves those that are there: 429.
    Busy,
    /// What its health port answers, or why nothing comes.
    Unwell(String),
    /// There is no process.
    Gone(String),
}

impl Condition {
    pub fn serves(&self) -> bool {
        matches!(self, Self::Serves | Self::Busy)
    }

    /// Why there are no calls, in a sentence.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Serves | Self::Busy => None,
            Self::Starting => Some("livekit-sip is starting".into()),
            Self::Unwell(why) => Some(format!("livekit-sip takes no calls: {why}")),
            Self::Gone(why) => Some(format!("livekit-sip does not run: {why}")),
        }
    }

    /// Of its health port's answer.
    fn of(answer: &Result<u16, String>) -> Self {
        match answer {
            Ok(200) => Self::Serves,
            Ok(429) => Self::Busy,
            Ok(other) => Self::Unwell(format!("its health port answers {other}")),
            Err(error) => Self::Unwell(format!("its health port does not answer: {error}")),
        }
    }

    /// After the next answer. A start takes its time: silence is no news until something was heard.
    pub fn after(&self, answer: &Result<u16, String>) -> Self {
        match (self, answer) {
            (Self::Starting, Err(_)) => Self::Starting,
            _ => Self::of(answer),
        }
    }
}

/// Asks at a port of loopback.
pub struct Pulse {
    http: reqwest::Client,
    url: String,
}

impl Pulse {
    pub fn at(port: u16) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().timeout(LIMIT).no_proxy().build()?;
        Ok(Self { http, url: format!("http://{}:{port}/", Ipv4Addr::LOCALHOST) })
    }

    /// The status of its answer, or why nothing comes.
    pub async fn ask(&self) -> Result<u16, String> {
        let answer = self.http.get(&self.url).send().await;
        answer.map(|answer| answer.status().as_u16()).map_err(why)
    }
}

fn why(error: reqwest::Error) -> String {
    match error.is_timeout() {
        true => format!("nothing within {} s", LIMIT.as_secs()),
        false => format!("{:#}", anyhow::Error::from(error)),
    }
}

/// A port that nobody has now.
pub async fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Result<u16, String> {
        Err("connection refused".into())
    }

    #[test]
    fn silence_is_a_start_first_and_an_illness_later() {
        let starting = Condition::Starting.after(&refused());
        assert_eq!(starting, Condition::Starting);
        let serves = starting.after(&Ok(200));
        assert!(serves.serves() && serves.trouble().is_none());
        let unwell = serves.after(&refused());
        assert!(unwell.trouble().unwrap().starts_with("livekit-sip takes no calls: its health port does not answer"));
        assert!(unwell.after(&Ok(200)).serves());
    }

    #[test]
    fn a_busy_one_serves_and_a_stopping_one_does_not() {
        assert!(Condition::Serves.after(&Ok(429)).serves());
        let trouble = Condition::Serves.after(&Ok(503)).trouble().unwrap();
        assert_eq!(trouble, "livekit-sip takes no calls: its health port answers 503");
    }

    #[tokio::test]
    async fn a_health_port_is_asked_over_http() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = axum::Router::new().fallback(|| async { axum::http::StatusCode::TOO_MANY_REQUESTS });
        tokio::spawn(async move { axum::serve(listener, router).await });
        assert_eq!(Pulse::at(port).unwrap().ask().await, Ok(429));
        assert!(Pulse::at(free_port().await.unwrap()).unwrap().ask().await.is_err());
    }
}
