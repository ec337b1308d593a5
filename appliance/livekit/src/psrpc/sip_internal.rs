//! What livekit-server asks a SIP gateway (service `SIPInternal`).

use super::{Bus, Registration, RpcError};
use crate::proto::sip::{
    InternalCreateSipParticipantRequest, InternalCreateSipParticipantResponse, InternalTransferSipParticipantRequest,
    InternalTransferSipParticipantResponse,
};
use std::time::{Duration, Instant};

const SERVICE: &str = "SIPInternal";
const CREATE: &str = "CreateSIPParticipant";
const TRANSFER: &str = "TransferSIPParticipant";

/// The service a gateway offers, and, for tests and tools, its client.
#[derive(Clone)]
pub struct SipInternal {
    bus: Bus,
}

impl SipInternal {
    pub fn new(bus: Bus) -> Self {
        Self { bus }
    }

    /// Serves outbound calls. The topic is empty: the open-source server knows no other. The request's
    /// `media` is ready to use.
    pub async fn serve_create<F, Fut>(&self, handler: F) -> Registration
    where
        F: Fn(InternalCreateSipParticipantRequest, Instant) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<InternalCreateSipParticipantResponse, RpcError>> + Send + 'static,
    {
        let upgrade = move |mut request: InternalCreateSipParticipantRequest, deadline| {
            request.upgrade();
            handler(request, deadline)
        };
        self.bus.serve(SERVICE, CREATE, &[""], upgrade).await
    }

    /// Serves transfers of one call; register before the call's participant joins, and let go of the
    /// registration when the call ends.
    pub async fn serve_transfer<F, Fut>(&self, lk_call_id: &str, handler: F) -> Registration
    where
        F: Fn(InternalTransferSipParticipantRequest, Instant) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<InternalTransferSipParticipantResponse, RpcError>> + Send + 'static,
    {
        self.bus.serve(SERVICE, TRANSFER, &[lk_call_id], handler).await
    }

    /// Asks a gateway to dial, as livekit-server does.
    pub async fn create(
        &self,
        request: &InternalCreateSipParticipantRequest,
        timeout: Duration,
    ) -> Result<InternalCreateSipParticipantResponse, RpcError> {
        self.bus.request(SERVICE, CREATE, &[""], request, timeout).await
    }

    /// Asks the gateway that has a call to transfer it, as livekit-server does.
    pub async fn transfer(
        &self,
        request: &InternalTransferSipParticipantRequest,
        timeout: Duration,
    ) -> Result<InternalTransferSipParticipantResponse, RpcError> {
        self.bus.request(SERVICE, TRANSFER, &[&request.sip_call_id], request, timeout).await
    }
}
