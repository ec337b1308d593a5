//! How is the box's own API asked?

use crate::ports::Ports;
use anyhow::{Context, bail};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::time::{Duration, Instant};

const UP_LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

pub struct Api {
    http: reqwest::Client,
    origin: String,
}

impl Api {
    pub fn new(ports: &Ports) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?;
        Ok(Self { http, origin: ports.api_origin() })
    }

    /// Returns when the API serves; with `whole` also calls, as `/v1/ready` tells.
    pub async fn up(&self, whole: bool) -> anyhow::Result<()> {
        let path = if whole { "/v1/ready" } else { "/v1/health" };
        let until = Instant::now() + UP_LIMIT;
        loop {
            let answer = match self.http.get(format!("{}{path}", self.origin)).send().await {
                Ok(answer) if answer.status() == StatusCode::OK => return Ok(()),
                Ok(answer) => format!("{} {}", answer.status(), answer.text().await.unwrap_or_default()),
                Err(error) => format!("{:#}", anyhow::Error::from(error)),
            };
            if Instant::now() > until {
                bail!("{path} did not answer 200 within {UP_LIMIT:?}, but {answer}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One request with an API key; anything but a 2xx is an error with the answer in it.
    pub async fn ask(&self, key: &str, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let request = self.http.request(method.clone(), format!("{}{path}", self.origin)).bearer_auth(key);
        answer(body.into_iter().fold(request, |request, body| request.json(&body)), &format!("{method} {path}")).await
    }
}

async fn answer(request: reqwest::RequestBuilder, what: &str) -> anyhow::Result<Value> {
    let sent = request.send().await.with_context(|| what.to_owned())?;
    let status = sent.status();
    let text = sent.text().await?;
    anyhow::ensure!(status.is_success(), "{what} answered {status}: {text}");
    match text.is_empty() {
        true => Ok(Value::Null),
        false => serde_json::from_str(&text).with_context(|| format!("{what} answered no JSON: {text}")),
    }
}
