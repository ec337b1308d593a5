//! livekit-server asks us to transfer a call: TransferSIPParticipant (livekit-sip's contract, section 5).

use crate::{
    gateway::Gateway,
    legs::{CommandError, Transferred, What},
    metrics, participant,
};
use livekit::{
    proto::{
        SipStatus, SipTransferReason, SipTransferStatus,
        sip::{InternalTransferSipParticipantRequest as Request, InternalTransferSipParticipantResponse as Response},
    },
    psrpc::{ErrorCode, Registration, RpcError},
};
use std::{
    sync::{Arc, Weak},
    time::Instant,
};
use tokio::sync::oneshot;

/// Serves transfers of one call until the registration is dropped.
pub async fn serve(gateway: &Arc<Gateway>, lk_call_id: &str) -> Registration {
    let gateway_ref = Arc::downgrade(gateway);
    let id = lk_call_id.to_owned();
    gateway
        .rpc
        .serve_transfer(lk_call_id, move |request, deadline| {
            transfer(gateway_ref.clone(), id.clone(), request, deadline)
        })
        .await
}

async fn transfer(
    gateway: Weak<Gateway>,
    lk_call_id: String,
    request: Request,
    deadline: Instant,
) -> Result<Response, RpcError> {
    let gateway = gateway.upgrade().ok_or_else(|| RpcError::unavailable("the gateway is stopping"))?;
    let counted = gateway.metrics.transfer(&lk_call_id);
    let (heard, how) = oneshot::channel();
    let limit = request.ringing_timeout.and_then(participant::positive).map(|limit| Instant::now() + limit);
    let until = limit.map_or(deadline, |limit| limit.min(deadline));
    let what = What::Transfer {
        to: request.transfer_to,
        headers: request.headers.into_iter().collect(),
        dialtone: request.play_dialtone,
        heard,
    };
    let command = gateway.legs.command(&lk_call_id, what);
    match tokio::time::timeout_at(until.into(), command).await {
        Ok(Ok(())) => {
            counted.succeeded();
            Ok(response(how.await.unwrap_or(Transferred::Unheard)))
        }
        Ok(Err(error)) => {
            counted.failed(&metrics::reason_of(&error));
            Err(error_of(error))
        }
        Err(_) => {
            counted.failed("timeout");
            gateway.legs.command(&lk_call_id, What::GiveUpTransfer).await.ok(); // the leg may be gone by now
            Err(RpcError::new(ErrorCode::DeadlineExceeded, "the peer did not say how the transfer went"))
        }
    }
}

/// Servers before protocol 1.51 read it as `Empty`.
fn response(how: Transferred) -> Response {
    let ok = SipStatus { code: 200, status: "OK".into() };
    let (reason, sip_status) = match how {
        Transferred::Completed => (SipTransferReason::StrCompleted, Some(ok)),
        Transferred::CallEnded => (SipTransferReason::StrCallEnded, None),
        Transferred::Unheard => (SipTransferReason::StrSubscriptionTerminated, None),
    };
    Response {
        transfer_id: participant::new_id("STR_"),
        status: SipTransferStatus::StsTransferSuccessful as i32,
        reason: reason as i32,
        sip_status,
    }
}

fn error_of(error: CommandError) -> RpcError {
    match error {
        CommandError::Refused { code, reason } => {
            let side = if (500..600).contains(&code) {
                ErrorCode::UpstreamServerError
            } else {
                ErrorCode::UpstreamClientError
            };
            RpcError::from_sip(code, &reason).with_code(side)
        }
        CommandError::NotFound(_) | CommandError::Ended => RpcError::new(ErrorCode::NotFound, error.to_string()),
        CommandError::Invalid(_) => RpcError::new(ErrorCode::InvalidArgument, error.to_string()),
        _ => RpcError::new(ErrorCode::FailedPrecondition, error.to_string()),
    }
}
