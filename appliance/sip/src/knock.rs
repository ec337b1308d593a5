//! What does a carrier say when we only knock?
//!
//! Look-ups, a connection, a TLS handshake, OPTIONS, and a REGISTER that changes nothing: each on its own, so that
//! whoever asks can tell which of them fails.

use crate::auth::Proofs;
use crate::core::escape_user;
use crate::endpoint::Endpoint;
use crate::ids::first_cseq;
use crate::message::Response;
use crate::register::RegisterRequest;
use crate::resolve::{Records, Target};
use crate::transport::Transport;
use crate::{SipError, new_call_id, new_tag};
use std::net::SocketAddr;

/// What came of a REGISTER that asks who is registered.
#[derive(Debug, Clone)]
pub struct Asked {
    pub response: Response,
    /// The registrar challenged every try, each time with a new nonce.
    pub still_challenged: bool,
}

impl Endpoint {
    /// What `host[:port]` leads to; for an address nobody is asked.
    pub async fn look_up(&self, place: &str, transport: Transport) -> (Records, Result<SocketAddr, SipError>) {
        let target = match Target::of_place(place, transport) {
            Ok(target) => target,
            Err(error) => return (Records::default(), Err(error)),
        };
        tokio::join!(Records::of(&target), self.0.resolve(&target))
    }

    /// Everywhere that `host[:port]` leads to, in the order in which it is tried.
    pub async fn places(&self, place: &str, transport: Transport) -> Result<Vec<SocketAddr>, SipError> {
        self.0.resolver.resolve(&Target::of_place(place, transport)?).await
    }

    /// A connection of its own, closed at once.
    pub async fn knock(&self, addr: SocketAddr) -> Result<(), SipError> {
        self.0.sockets.knock(addr).await
    }

    /// A TLS handshake of its own with `host[:port]` at `addr`; protocol and cipher.
    pub async fn shake_hands(&self, place: &str, addr: SocketAddr) -> Result<String, SipError> {
        let name = Target::of_place(place, Transport::Tls)?.host;
        self.0.sockets.shake_hands(addr, &name).await
    }

    /// One OPTIONS to `host[:port]`; its answer, 408 for silence.
    pub async fn options(&self, place: &str, transport: Transport) -> Result<Response, SipError> {
        let flow = self.0.flow_to(&Target::of_place(place, transport)?).await?;
        let uri = format!("sip:{place}");
        let mut request = self.0.request("OPTIONS", &uri, &flow);
        let from = self.0.contact("", &flow);
        request.headers.push("From", format!("{from};tag={}", new_tag()));
        request.headers.push("To", format!("<{uri}>"));
        request.headers.push("Call-ID", new_call_id());
        request.headers.push("CSeq", "1 OPTIONS");
        request.headers.push("Contact", from);
        request.headers.push("Accept", "application/sdp");
        self.0.exchange(&request, &flow).await
    }

    /// Who is registered there? (RFC 3261 section 10.2.3) The password is checked, and a registration that we have stays
    /// as it is.
    pub async fn ask_registrar(&self, request: &RegisterRequest) -> Result<Asked, SipError> {
        let place = request.proxy.as_ref().unwrap_or(&request.registrar);
        let flow = self.0.flow_to(&Target::of_place(place, request.transport)?).await?;
        let (user, domain) = request.aor.rsplit_once('@').ok_or_else(|| SipError::BadAddress(request.aor.clone()))?;
        let aor = format!("<sip:{}@{domain}>", escape_user(user));
        let mut message = self.0.request("REGISTER", &format!("sip:{}", request.registrar), &flow);
        message.headers.push("From", format!("{aor};tag={}", new_tag()));
        message.headers.push("To", aor);
        message.headers.push("Call-ID", new_call_id());
        let mut proofs = Proofs::new(request.credentials.clone());
        let mut cseq = first_cseq();
        let next_cseq = || {
            cseq += 1;
            cseq
        };
        let response = self.0.exchange_proven(message, &flow, &mut proofs, next_cseq).await?;
        Ok(Asked { still_challenged: proofs.learn(&response), response })
    }
}
