//! How is a phone dialled into a call's room?
//!
//! A number goes through the tenant's oldest synced trunk. A SIP URI goes straight to its host, one of
//! [`types::control::PHONES_HOST`] to the phones that are registered.

use super::effects::Scene;
use crate::app::LiveKit;
use call::{Failure, Input, Party};
use dialplan::Destination;
use livekit::api::ApiError;
use livekit_protocol::{CreateSipParticipantRequest, SipOutboundConfig, SipTransport};
use std::{collections::HashMap, time::Duration};
use store::{
    Connection, StoreError, dids,
    extensions::Extension,
    trunks::{self, Trunk},
};
use types::{DidId, LegId, TenantId, TrunkId, control::phones_of};

/// Through what, and as whom?
struct Route {
    trunk: TrunkId,
    sip_trunk_id: String,
    /// A number of ours that the far end sees.
    number: Option<String>,
}

/// Dials; the gateway's events tell the rest.
pub async fn dial(scene: &Scene, livekit: &LiveKit, party: Party, leg: LegId, to: Destination, timeout: Duration) {
    let mut request = CreateSipParticipantRequest {
        room_name: scene.room.clone(),
        participant_identity: leg.to_string(),
        participant_name: to.as_str().to_owned(),
        participant_attributes: attributes(scene, leg),
        ringing_timeout: Some(timeout.into()),
        ..Default::default()
    };
    let mut trunk = None;
    match &to {
        Destination::Uri(uri) => {
            aim_at_uri(&mut request, uri);
            request.sip_number = scene.caller_now().await.1;
            match is_ours(scene, uri).await {
                Ok(true) => {}
                Ok(false) => return scene.tell(Input::PartyFailed(party, Failure::Unavailable)).await,
                Err(error) => return not_read(scene, party, "scaidial_extension_not_read", &error).await,
            }
        }
        Destination::Number(number) => match route(scene).await {
            Ok(Some(route)) => {
                request.sip_trunk_id = route.sip_trunk_id;
                request.sip_call_to = number.as_str().to_owned();
                request.sip_number = route.number.unwrap_or_default();
                trunk = Some(route.trunk);
            }
            Ok(None) => return scene.tell(Input::PartyFailed(party, Failure::NoTrunk)).await,
            Err(error) => return not_read(scene, party, "scaidial_trunk_not_read", &error).await,
        },
    }
    match livekit.api.create_sip_participant(&request).await {
        Ok(info) => dialling(scene, livekit, party, leg, trunk, info.sip_call_id).await,
        Err(error) => refused(scene, party, &error).await,
    }
}

async fn not_read(scene: &Scene, party: Party, event: &'static str, error: &StoreError) {
    scene.warn(event, error);
    scene.tell(Input::PartyFailed(party, Failure::Unavailable)).await;
}

/// Registered phones ring for their own tenant only.
async fn is_ours(scene: &Scene, uri: &str) -> Result<bool, StoreError> {
    let Some(extension) = phones_of(uri) else { return Ok(true) };
    let (tenant, extension) = (scene.tenant, extension.to_owned());
    let found = scene.app.db.read(move |conn| store::find::<Extension>(conn, tenant, &extension)).await;
    match found {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// LiveKit's id of the leg; the gateway's event may have brought it before.
async fn dialling(
    scene: &Scene,
    livekit: &LiveKit,
    party: Party,
    leg: LegId,
    trunk: Option<TrunkId>,
    lk_call_id: String,
) {
    let known = scene.handle.tell(move |live| live.dialling(party.0, lk_call_id, None, trunk)).await;
    if known.is_none() {
        // The call ended while we dialled; this must not leave a phone ringing in an empty room.
        livekit.api.remove_participant(&scene.room, &leg.to_string()).await.ok();
        scene.close_room(livekit).await;
    }
}

async fn refused(scene: &Scene, party: Party, error: &ApiError) {
    scene.warn("scaidial_livekit_sip_refused", error);
    let failure = error.sip_status().map_or(Failure::Unavailable, |(code, _)| Failure::Sip(code));
    scene.tell(Input::PartyFailed(party, failure)).await;
}

async fn route(scene: &Scene) -> Result<Option<Route>, StoreError> {
    let (tenant, dialled) = (scene.tenant, scene.did);
    scene
        .app
        .db
        .read(move |conn| {
            let Some((trunk, number)) = line(conn, tenant, dialled)? else { return Ok(None) };
            Ok(trunk.sip_trunk_id.map(|sip_trunk_id| Route { trunk: trunk.id, sip_trunk_id, number }))
        })
        .await
}

/// The trunk that a call to the world takes, and the number of ours that the far end sees: the one that was dialled,
/// or the trunk's first.
pub(super) fn line(
    conn: &Connection,
    tenant: TenantId,
    dialled: Option<DidId>,
) -> Result<Option<(Trunk, Option<String>)>, StoreError> {
    let Some(trunk) = trunks::find_outbound(conn, tenant)? else { return Ok(None) };
    let dids = dids::on_trunk(conn, trunk.id)?;
    let own = dids.iter().find(|did| Some(did.id) == dialled).or(dids.first());
    let number = own.map(|did| did.spec.number.as_str().to_owned());
    Ok(Some((trunk, number)))
}

fn attributes(scene: &Scene, leg: LegId) -> HashMap<String, String> {
    HashMap::from([
        ("scaibox.call_id".to_owned(), scene.call.to_string()),
        ("scaibox.leg_id".to_owned(), leg.to_string()),
        ("scaibox.correlation_id".to_owned(), scene.correlation_id.to_string()),
    ])
}

/// `sip:user@host:port;transport=tcp`, already checked by [`Destination`].
fn aim_at_uri(request: &mut CreateSipParticipantRequest, uri: &str) {
    let (scheme, rest) = uri.split_once(':').unwrap_or(("sip", uri));
    let (user, host) = rest.split_once('@').unwrap_or(("", rest));
    let (host, parameters) = host.split_once(';').unwrap_or((host, ""));
    let wanted = parameters.split(';').find_map(|parameter| parameter.strip_prefix("transport="));
    let transport = match wanted {
        _ if scheme == "sips" => SipTransport::Tls,
        Some("tcp") => SipTransport::Tcp,
        Some("tls") => SipTransport::Tls,
        _ => SipTransport::Udp,
    };
    request.sip_call_to = user.to_owned();
    request.trunk =
        Some(SipOutboundConfig { hostname: host.to_owned(), transport: transport as i32, ..Default::default() });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sip_uri_is_taken_apart_for_livekit() {
        for (uri, user, host, transport) in [
            ("sip:100@192.0.2.7", "100", "192.0.2.7", SipTransport::Udp),
            ("sip:a.b@pbx.example:5062;transport=tcp", "a.b", "pbx.example:5062", SipTransport::Tcp),
            ("sips:a@pbx.example", "a", "pbx.example", SipTransport::Tls),
        ] {
            let mut request = CreateSipParticipantRequest::default();
            aim_at_uri(&mut request, uri);
            let trunk = request.trunk.unwrap();
            assert_eq!((request.sip_call_to.as_str(), trunk.hostname.as_str()), (user, host));
            assert_eq!(trunk.transport, transport as i32);
        }
    }
}
