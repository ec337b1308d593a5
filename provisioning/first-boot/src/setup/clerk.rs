//! Who writes down that the box has an owner?
//!
//! The clerk asks the desk about the code, keeps the count of wrong tries on disk before it answers,
//! and has `control-api` make the account. `control-api`'s database has the last word: a box whose
//! data was restored is claimed although our own file is not there.

use super::{Config, http::Setup, problem::Problem};
use crate::{
    claim::{
        code::ClaimCode,
        desk::{Answer, Desk, LIFETIME, State},
    },
    here::Uptime,
};
use axum::http::StatusCode;
use daemon::unix_http::{Client, UnixHttpError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use types::Redacted;

const CLAIM: &str = "/internal/v1/claim";
const ASK_EVERY: Duration = Duration::from_secs(10);
/// Hashing a password takes its time on a small box.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Clerk {
    config: Config,
    uptime: Uptime,
    api: Client,
    file: PathBuf,
    /// Held from the try to the account, so that two people cannot both be first.
    desk: Mutex<Desk>,
}

/// The account that `control-api` is to make.
#[derive(Serialize)]
pub struct NewOwner {
    pub email: String,
    pub password: Redacted<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Deserialize)]
struct Claimed {
    claimed: bool,
}

impl Clerk {
    pub fn new(config: Config, uptime: Uptime) -> Self {
        let file = config.state_dir.join("claim.json");
        let desk = Desk::new(config.code.clone(), State::load(&file));
        let api = Client::new(&config.control_socket).with_limit(PATIENCE);
        Self { config, uptime, api, file, desk: Mutex::new(desk) }
    }

    pub async fn setup(&self) -> Result<Setup, Problem> {
        let claimed = self.desk.lock().await.is_claimed();
        let left = LIFETIME.saturating_sub(self.up()?);
        Ok(Setup {
            state: if claimed { "claimed" } else { "unclaimed" },
            name: self.config.name.clone(),
            version: self.config.version.clone(),
            expires_at: (!claimed).then(|| Timestamp::now() + left),
            claim_url: self.config.claim_url.clone().filter(|_| !claimed),
        })
    }

    /// Gives the box to `owner` when the code is right.
    pub async fn claim(&self, code: &ClaimCode, owner: &NewOwner) -> Result<(), Problem> {
        let mut desk = self.desk.lock().await;
        let answer = desk.try_code(code, self.up()?);
        tracing::info!(?answer, "claim_tried");
        match answer {
            Answer::Right => self.make_account(&mut desk, owner).await,
            Answer::Wrong => self.save(&desk).and(Err(Problem::WrongCode)),
            Answer::Wait(wait) => Err(Problem::TooManyTries { wait }),
            Answer::Expired => Err(Problem::CodeExpired),
            Answer::AlreadyClaimed => Err(Problem::AlreadyClaimed),
        }
    }

    async fn make_account(&self, desk: &mut Desk, owner: &NewOwner) -> Result<(), Problem> {
        let refusal = match self.api.act_with(CLAIM, owner).await {
            Ok(()) => {
                self.close(desk);
                return Ok(());
            }
            Err(error) => error,
        };
        match refusal.refusal::<Value>() {
            Some((StatusCode::CONFLICT, _)) => {
                self.close(desk);
                Err(Problem::AlreadyClaimed)
            }
            Some((status, body)) if status.is_client_error() => Err(Problem::Passed(status, body)),
            _ => {
                tracing::error!(error = %refusal, "claim_not_passed_on");
                Err(Problem::NotReady)
            }
        }
    }

    /// Asks `control-api` whether the box has an owner already.
    async fn ask(&self) -> Result<bool, UnixHttpError> {
        let Claimed { claimed } = self.api.get(CLAIM).await?;
        let mut desk = self.desk.lock().await;
        if claimed && !desk.is_claimed() {
            self.close(&mut desk);
        }
        Ok(claimed)
    }

    /// The code is used up. When that cannot be written, `control-api` is asked again after a restart.
    fn close(&self, desk: &mut Desk) {
        desk.claimed(Timestamp::now());
        tracing::info!("box_claimed");
        let _ = self.save(desk); // it has logged
    }

    fn save(&self, desk: &Desk) -> Result<(), Problem> {
        desk.state().save(&self.file).map_err(|error| {
            tracing::error!(%error, path = %self.file.display(), "claim_state_not_written");
            Problem::Internal
        })
    }

    fn up(&self) -> Result<Duration, Problem> {
        (self.uptime)().map_err(|error| {
            tracing::error!(%error, "no_uptime");
            Problem::Internal
        })
    }
}

/// Until the box is known to be claimed: somebody may have restored one that was.
pub async fn learn_of_a_claim(clerk: Arc<Clerk>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(ASK_EVERY);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        match clerk.ask().await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "control_api_does_not_say_whether_the_box_is_claimed"),
        }
    }
}
