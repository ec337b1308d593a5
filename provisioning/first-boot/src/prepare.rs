//! What must lie on the disk before any daemon starts?
//!
//! Secrets, a certificate, a claim code, and every daemon's configuration. [`prepare`] makes what is
//! missing, renews what is due and leaves the rest alone: a second run changes nothing, and one that
//! was cut short is finished by the next.

use crate::{
    certificate::Certificate,
    claim::offer,
    files,
    here::Here,
    layout::Layout,
    render::{self, Facts},
    secrets::Secrets,
    settings::{self, Loaded},
};
use anyhow::Context;
use std::collections::BTreeSet;

/// Returns the daemons that are told something new: one that runs already has to be started again.
pub fn prepare(layout: &Layout, here: &Here) -> anyhow::Result<BTreeSet<&'static str>> {
    for folder in [layout.secrets(), layout.config()] {
        files::private_folder(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let loaded = settings::load(layout);
    tell_the_console(layout, &loaded)?;
    let secrets = Secrets::load_or_make(layout)?;
    let old = Certificate::load(layout);
    let certificate = Certificate::load_or_renew(layout, here)?;
    let offer = offer::load_or_make(layout, &here.boot_id)?;
    let facts =
        Facts { secrets: &secrets, settings: &loaded.settings, here, code: offer.as_ref().map(|offer| &offer.hash) };
    let mut changed = write_all(layout, &facts)?;
    if old.as_ref() != Some(&certificate) {
        changed.extend(["control-api", "sip-gateway"]);
    }
    Ok(changed)
}

fn write_all(layout: &Layout, facts: &Facts<'_>) -> anyhow::Result<BTreeSet<&'static str>> {
    let mut changed = BTreeSet::new();
    for rendered in render::all(facts)? {
        let path = layout.config().join(rendered.file);
        if files::write(&path, &rendered.text).with_context(|| format!("cannot write {}", path.display()))? {
            changed.insert(rendered.daemon);
        }
    }
    Ok(changed)
}

fn tell_the_console(layout: &Layout, loaded: &Loaded) -> anyhow::Result<()> {
    let path = layout.settings_problem();
    match &loaded.problem {
        Some(problem) => files::write(&path, &problem.to_string()),
        None => files::remove(&path),
    }
    .with_context(|| format!("cannot write {}", path.display()))
    .map(drop)
}
