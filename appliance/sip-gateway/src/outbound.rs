//! livekit-server asks us to dial: CreateSIPParticipant (livekit-sip's contract, section 4).

use crate::{
    gateway::Gateway,
    leg::outbound::{Dialing, dial},
};
use livekit::{
    proto::{
        SipTransport,
        sip::{InternalCreateSipParticipantRequest as Request, InternalCreateSipParticipantResponse as Response},
    },
    psrpc::{ErrorCode, Registration, RpcError},
};
use sip::{Contact, Credentials, OutboundInvite, Transport, header};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};
use types::control::{LegEndCause, PHONES_HOST};

/// Serves requests until the registration is closed.
pub async fn serve(gateway: &Arc<Gateway>) -> Registration {
    let handler = gateway.clone();
    gateway.rpc.serve_create(move |request, deadline| create(handler.clone(), request, deadline)).await
}

async fn create(gateway: Arc<Gateway>, request: Request, deadline: Instant) -> Result<Response, RpcError> {
    let _working = gateway.calls.token();
    if gateway.is_stopping() {
        return Err(RpcError::unavailable("the gateway is stopping"));
    }
    let (invites, peer) = match request.address == PHONES_HOST {
        true => phones(&gateway, &request)?,
        false => invite_of(&gateway, &request).await?,
    };
    let (identity, sip_call_id, wait) =
        (request.participant_identity.clone(), request.sip_call_id.clone(), request.wait_until_answered);
    let Dialing { leg, joined, answered } = dial(&gateway, request, invites, peer.ip()).await?;
    gateway.calls.spawn(leg.run());
    let outcome = tokio::time::timeout_at(deadline.into(), if wait { answered } else { joined }).await;
    match outcome {
        Ok(Ok(Ok(participant_id))) => Ok(Response { participant_id, participant_identity: identity, sip_call_id }),
        Ok(Ok(Err((cause, sip_code)))) => Err(error_of(cause, sip_code)),
        Ok(Err(_)) => Err(RpcError::internal("the leg ended without a word")),
        Err(_) => Err(RpcError::new(ErrorCode::DeadlineExceeded, "not answered in time")),
    }
}

/// INVITEs without their session description, and where the first one goes.
type Aimed = (Vec<OutboundInvite>, SocketAddr);

async fn invite_of(gateway: &Gateway, request: &Request) -> Result<Aimed, RpcError> {
    if request.call_to.is_empty() || request.address.is_empty() {
        return Err(RpcError::new(ErrorCode::InvalidArgument, "sip_call_to and the trunk's address must be set"));
    }
    let (transport, suffix) = match request.transport() {
        SipTransport::Auto => (None, ""),
        SipTransport::Udp => (Some(Transport::Udp), ";transport=udp"),
        SipTransport::Tcp => (Some(Transport::Tcp), ";transport=tcp"),
        SipTransport::Tls => (Some(Transport::Tls), ";transport=tls"),
    };
    let request_uri = format!("sip:{}@{}{suffix}", request.call_to, request.address);
    let peer = gateway.endpoint.locate(&request_uri, transport).await;
    let peer = peer.map_err(|error| RpcError::unavailable(format!("the call cannot be sent: {error}")))?;
    let to_user = if request.to_user_override.is_empty() { &request.call_to } else { &request.to_user_override };
    let credentials = (!request.username.is_empty())
        .then(|| Credentials { user: request.username.clone(), password: request.password.clone() });
    let invite = OutboundInvite {
        request_uri,
        from: from(gateway, request, peer),
        to: format!("<sip:{to_user}@{}>", request.address),
        // Not looked up again: our addresses in the description are chosen for this peer.
        destination: Some(peer.to_string()),
        transport,
        credentials,
        headers: request.headers.clone().into_iter().collect(),
        ..OutboundInvite::default()
    };
    Ok((vec![invite], peer))
}

/// To every phone that is registered for the extension.
fn phones(gateway: &Gateway, request: &Request) -> Result<Aimed, RpcError> {
    let contacts = gateway.endpoint.contacts(&request.call_to);
    let nobody = || RpcError::from_sip(480, "no phone of this extension is registered");
    let peer = contacts.first().ok_or_else(nobody)?.source;
    let invite = |contact: Contact| OutboundInvite {
        request_uri: contact.uri.clone(),
        from: from(gateway, request, contact.source),
        to: format!("<{}>", contact.uri),
        contact: Some(contact),
        headers: request.headers.clone().into_iter().collect(),
        ..OutboundInvite::default()
    };
    Ok((contacts.into_iter().map(invite).collect(), peer))
}

/// Who calls, as `peer` is shown it.
fn from(gateway: &Gateway, request: &Request, peer: SocketAddr) -> String {
    let host = match request.hostname.is_empty() || request.address == PHONES_HOST {
        true => host_of(gateway.addresses.sip_towards(peer.ip())),
        false => request.hostname.clone(),
    };
    let display = match &request.display_name {
        None if request.number.is_empty() => String::new(),
        None => format!("{} ", header::quote(&request.number)),
        Some(name) if name.is_empty() => String::new(),
        Some(name) => format!("{} ", header::quote(name)),
    };
    format!("{display}<sip:{}@{host}>", request.number)
}

/// As a URI writes it.
fn host_of(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// After an INVITE was sent, an error must not make SDKs dial again.
fn error_of(cause: LegEndCause, sip_code: Option<u16>) -> RpcError {
    let reason = match cause {
        LegEndCause::Rejected => "the phone refused",
        LegEndCause::RingTimeout => "nobody answered in time",
        LegEndCause::Cancelled | LegEndCause::LocalHangup => "hung up before the answer",
        LegEndCause::RoomLost => "the room could not be joined",
        LegEndCause::GatewayStopping => "the gateway is stopping",
        _ => "the call ended before the answer",
    };
    match sip_code {
        Some(code) => RpcError::from_sip(code, reason),
        None => RpcError::new(ErrorCode::FailedPrecondition, reason),
    }
}
