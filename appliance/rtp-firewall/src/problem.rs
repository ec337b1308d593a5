//! What is a client told when something cannot be done?
//!
//! RFC 9457 `application/problem+json` with a stable `code`, a sentence and what to do next.

use crate::{keeper::ChangeError, refused::Refused};
use axum::{
    Json,
    extract::{FromRequest, Request, rejection::JsonRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};

/// A refusal on its way to the client.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    hint: &'static str,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    hint: &'a str,
}

impl Problem {
    pub fn invalid(detail: impl Into<String>) -> Self {
        let hint = "nothing was changed: mend the field that the detail names and send it again";
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, code: "invalid", detail: detail.into(), hint }
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        let detail = error.to_string();
        match error {
            ChangeError::Refused(refused) => {
                Self { status: status(&refused), code: refused.code(), detail, hint: refused.hint() }
            }
            ChangeError::Nft(_) => {
                tracing::error!(problem = %detail, "firewall_change_failed");
                let hint = "nothing was changed; `nft list ruleset` on the box shows what is loaded";
                Self { status: StatusCode::SERVICE_UNAVAILABLE, code: "firewall_not_applied", detail, hint }
            }
        }
    }
}

fn status(refused: &Refused) -> StatusCode {
    match refused {
        Refused::NotBanned(_) => StatusCode::NOT_FOUND,
        Refused::NothingToConfirm | Refused::TooManyBans(_) => StatusCode::CONFLICT,
        Refused::BansTrunk(_) | Refused::BansManagement(_) => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: format!("urn:scaibox:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            hint: self.hint,
        };
        (self.status, [(header::CONTENT_TYPE, "application/problem+json")], Json(body)).into_response()
    }
}

/// A JSON body; what is wrong with it is told with the field's place.
pub struct Taken<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Taken<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(body) = Json::from_request(request, state)
            .await
            .map_err(|rejection: JsonRejection| Problem::invalid(rejection.body_text()))?;
        Ok(Self(body))
    }
}
