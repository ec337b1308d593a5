//! How many calls would a reboot cut?

use daemon::unix_http::{Client, UnixHttpError};
use serde::Deserialize;

#[derive(Deserialize)]
struct Activity {
    active_calls: u32,
}

/// Asks control-api. No answer means that nobody knows, and that counts as "there may be calls".
pub async fn active_calls(control: &Client) -> Result<u32, UnixHttpError> {
    let activity: Activity = control.get("/internal/v1/activity").await?;
    Ok(activity.active_calls)
}
