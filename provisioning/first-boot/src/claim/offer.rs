//! Which code is on the screen?
//!
//! A new one at every start of an unclaimed box, kept in plain text for root alone, because the
//! screen must show it; gone once the box is claimed.

use super::{
    code::{ClaimCode, CodeHash},
    desk::State,
};
use crate::{files, layout::Layout, secrets::random_hex};
use anyhow::Context;
use serde::{Deserialize, Serialize};

/// `claim.json` among the secrets.
#[derive(Clone, Serialize, Deserialize)]
pub struct Offer {
    pub code: ClaimCode,
    pub hash: CodeHash,
    /// The start of the machine that the code belongs to.
    pub boot_id: String,
}

/// The code of this start, or none when the box is claimed.
pub fn load_or_make(layout: &Layout, boot_id: &str) -> anyhow::Result<Option<Offer>> {
    if forget_if_claimed(layout)? {
        return Ok(None);
    }
    let offer = match load(layout).filter(|offer| offer.boot_id == boot_id) {
        Some(offer) => offer,
        None => make(boot_id)?,
    };
    files::write(&layout.plain_code(), &serde_json::to_string_pretty(&offer)?)
        .context("cannot keep the claim code for the screen")?;
    Ok(Some(offer))
}

/// The code that the screen shows.
pub fn load(layout: &Layout) -> Option<Offer> {
    serde_json::from_str(&files::read(&layout.plain_code()).ok()??).ok()
}

/// Removes the plain code of a claimed box; true when the box is claimed.
pub fn forget_if_claimed(layout: &Layout) -> anyhow::Result<bool> {
    let claimed = matches!(State::load(&layout.claim_state()), State::Claimed { .. });
    if claimed {
        files::remove(&layout.plain_code()).context("cannot remove the claim code")?;
    }
    Ok(claimed)
}

fn make(boot_id: &str) -> anyhow::Result<Offer> {
    let code = ClaimCode::random();
    let hash = CodeHash::of(&code, random_hex(16))?;
    Ok(Offer { code, hash, boot_id: boot_id.to_owned() })
}
