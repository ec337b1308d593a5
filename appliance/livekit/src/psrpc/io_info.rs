//! What a SIP gateway asks livekit-server (service `IOInfo`).

use super::{Bus, RpcError};
use crate::proto::{
    Empty, SipCallInfo, SipTransferInfo,
    io::{
        EvaluateSipDispatchRulesRequest, EvaluateSipDispatchRulesResponse, GetSipTrunkAuthenticationRequest,
        GetSipTrunkAuthenticationResponse, SipCall, UpdateSipCallStateRequest,
    },
};
use prost::Message;
use std::time::Duration;

const SERVICE: &str = "IOInfo";
const TIMEOUT: Duration = Duration::from_secs(3);

/// livekit-server's answers about trunks and dispatch rules.
#[derive(Clone)]
pub struct IoInfo {
    bus: Bus,
}

impl IoInfo {
    pub fn new(bus: Bus) -> Self {
        Self { bus }
    }

    /// Which trunk takes this call, and how it wants it authenticated.
    pub async fn trunk_authentication(&self, call: SipCall) -> Result<GetSipTrunkAuthenticationResponse, RpcError> {
        self.ask("GetSIPTrunkAuthentication", &GetSipTrunkAuthenticationRequest::from(call)).await
    }

    /// Which room takes this call. The answer's `media` is ready to use.
    pub async fn evaluate_dispatch_rules(
        &self,
        request: &EvaluateSipDispatchRulesRequest,
    ) -> Result<EvaluateSipDispatchRulesResponse, RpcError> {
        let mut answer: EvaluateSipDispatchRulesResponse = self.ask("EvaluateSIPDispatchRules", request).await?;
        answer.upgrade();
        Ok(answer)
    }

    /// Reports a call. The open-source server takes it and forgets it.
    pub async fn update_sip_call_state(&self, call: SipCallInfo) -> Result<(), RpcError> {
        self.report(UpdateSipCallStateRequest { call_info: Some(call), transfer_info: None }).await
    }

    /// Reports a transfer, likewise.
    pub async fn update_sip_transfer_state(&self, transfer: SipTransferInfo) -> Result<(), RpcError> {
        self.report(UpdateSipCallStateRequest { call_info: None, transfer_info: Some(transfer) }).await
    }

    async fn report(&self, update: UpdateSipCallStateRequest) -> Result<(), RpcError> {
        self.ask::<_, Empty>("UpdateSIPCallState", &update).await.map(drop)
    }

    async fn ask<Q: Message, R: Message + Default>(&self, method: &str, request: &Q) -> Result<R, RpcError> {
        self.bus.request(SERVICE, method, &[], request, TIMEOUT).await
    }
}
