//! Which desk phones may register? Told to the gateway on every change and four times a minute.
//!
//! Who is registered the gateway alone knows: [`contacts`] asks it.

use crate::{
    app::App,
    auth::{Caller, Permission},
    error::ApiResult,
    extract::Id,
    keep_told::KeepTold,
    neighbour::refusal,
    ready::with_causes,
};
use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;
use store::extensions::{self, Extension};
use types::{
    ExtensionId, Redacted,
    control::{PhoneAccount, PhoneContact, PhoneSet},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

const PERIOD: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_secs(1);

/// Runs until the daemon stops.
pub async fn run(app: App) {
    let mut telling = KeepTold::new("sip-gateway", PERIOD, RETRY);
    while telling.rest(&app, &app.phones_changed, tell(&app).await).await {}
}

async fn tell(app: &App) -> Result<(), String> {
    let phones = app.db.read(extensions::desk_phones).await.map_err(|error| error.to_string())?;
    let set = PhoneSet { phones: phones.into_iter().filter_map(account).collect() };
    let told: Result<usize, _> = app.gateway.put("/v1/phones", &set).await;
    told.map(drop).map_err(|error| with_causes("sip-gateway", &error))
}

/// A phone with a SIP URI of its own is called there; it does not register.
fn account(phone: Extension) -> Option<PhoneAccount> {
    match (phone.spec.target, phone.spec.sip_username, phone.spec.sip_password) {
        (None, Some(username), Some(password)) => {
            Some(PhoneAccount { extension_id: phone.id, username, password: Redacted(password) })
        }
        _ => None,
    }
}

/// The phones of an extension that are registered now.
#[derive(Serialize, ToSchema)]
struct Contacts {
    items: Vec<Contact>,
}

#[derive(Serialize, ToSchema)]
struct Contact {
    #[schema(example = "sip:100@192.168.1.20:5060")]
    uri: String,
    /// Where it is seen from.
    #[schema(example = "192.168.1.20:5060")]
    source: String,
    /// `udp`, `tcp`, `tls` or `wss`.
    transport: String,
    user_agent: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

#[utoipa::path(get, path = "/v1/extensions/{id}/contacts", operation_id = "list_contacts", tag = "extensions",
    params(("id" = String, Path)), responses((status = 200, body = Contacts)))]
async fn contacts(State(app): State<App>, caller: Caller, Id(id): Id<ExtensionId>) -> ApiResult<Json<Contacts>> {
    caller.require(Permission::ReadAll)?;
    let tenant = caller.tenant_id;
    app.db.read(move |conn| store::find::<Extension>(conn, tenant, &id)).await?;
    let found: Vec<PhoneContact> = app.gateway.get(&format!("/v1/phones/{id}")).await.map_err(refusal)?;
    let show = |PhoneContact { uri, source, transport, user_agent, expires_at }| Contact {
        uri,
        source,
        transport,
        user_agent,
        expires_at,
    };
    Ok(Json(Contacts { items: found.into_iter().map(show).collect() }))
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(contacts))
}
