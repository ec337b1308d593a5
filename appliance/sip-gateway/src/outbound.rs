//! livekit-server asks us to dial: CreateSIPParticipant (livekit-sip's contract, section 4).

mod parties;

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
use sip::{Contact, Credentials, OutboundInvite, Transport};
use std::{net::SocketAddr, sync::Arc, time::Instant};
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
    let transport = match request.transport() {
        SipTransport::Auto => None,
        SipTransport::Udp => Some(Transport::Udp),
        SipTransport::Tcp => Some(Transport::Tcp),
        SipTransport::Tls => Some(Transport::Tls),
    };
    let spelled_out = parties::request_uri(request.sip_request_uri.as_ref());
    let usual = (!request.call_to.is_empty() && !request.address.is_empty())
        .then(|| format!("sip:{}@{}{}", request.call_to, request.address, parties::suffix(request.transport())));
    // The trunk's address is the way, whatever the Request-URI says.
    let Some(way) = usual.or_else(|| spelled_out.clone()) else {
        let missing = "sip_call_to and the trunk's address, or sip_request_uri, must be set";
        return Err(RpcError::new(ErrorCode::InvalidArgument, missing));
    };
    let peer = gateway.endpoint.locate(&way, transport).await;
    let peer = peer.map_err(|error| RpcError::unavailable(format!("the call cannot be sent: {error}")))?;
    let request_uri = spelled_out.unwrap_or(way);
    let to_user = if request.to_user_override.is_empty() { &request.call_to } else { &request.to_user_override };
    let usual_to = match request.address.is_empty() {
        true => format!("<{request_uri}>"),
        false => format!("<sip:{to_user}@{}>", request.address),
    };
    let to = parties::named(request.sip_to_header.as_ref());
    let credentials = (!request.username.is_empty())
        .then(|| Credentials { user: request.username.clone(), password: request.password.clone() });
    let invite = OutboundInvite {
        from: parties::from(gateway, request, peer),
        to: to.unwrap_or(usual_to),
        request_uri,
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
        from: parties::from(gateway, request, contact.source),
        to: format!("<{}>", contact.uri),
        contact: Some(contact),
        headers: request.headers.clone().into_iter().collect(),
        ..OutboundInvite::default()
    };
    Ok((contacts.into_iter().map(invite).collect(), peer))
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
