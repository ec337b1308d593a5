//! livekit-server asks us to transfer a call: TransferSIPParticipant (livekit-sip's contract, section 5).

use crate::{
    gateway::Gateway,
    legs::{CommandError, What},
    metrics,
};
use livekit::{
    proto::{
        SipTransferStatus,
        sip::{InternalTransferSipParticipantRequest as Request, InternalTransferSipParticipantResponse as Response},
    },
    psrpc::{ErrorCode, Registration, RpcError},
};
use std::{
    sync::{Arc, Weak},
    time::Instant,
};

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
    let headers = request.headers.into_iter().collect();
    let command = gateway.legs.command(&lk_call_id, What::Transfer { to: request.transfer_to, headers });
    match tokio::time::timeout_at(deadline.into(), command).await {
        Ok(Ok(())) => {
            counted.succeeded();
            Ok(Response { status: SipTransferStatus::StsTransferSuccessful as i32, ..Response::default() })
        }
        Ok(Err(error)) => {
            counted.failed(&metrics::reason_of(&error));
            Err(error_of(error))
        }
        Err(_) => {
            counted.failed("timeout");
            Err(RpcError::new(ErrorCode::DeadlineExceeded, "the peer did not say how the transfer went"))
        }
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
