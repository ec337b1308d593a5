//! All routes, and what happens to every request on its way to them.

use crate::{app::App, error::ApiError, openapi};
use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
    middleware,
    routing::{get, post},
};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

const LARGEST_BODY: usize = 1024 * 1024;

/// The public API.
pub fn router(app: App) -> Router {
    let (routes, collected) = collect().split_for_parts();
    let document = openapi::document(&collected);
    routes
        .route("/openapi.json", get(move || std::future::ready(Json(document.clone()))))
        .route("/internal/livekit/webhook", post(crate::calls::webhook::receive))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn(crate::correlation::carry))
        .with_state(app)
}

/// Every noun's routes, with what the code says about them.
fn collect() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::Api::openapi())
        .merge(crate::health::routes())
        .merge(crate::auth::http::routes())
        .merge(crate::tenants::routes())
        .merge(crate::users::routes())
        .merge(crate::keys::routes())
        .merge(crate::trunks::routes())
        .merge(crate::dids::routes())
        .merge(crate::extensions::routes())
        .merge(crate::phones::routes())
        .merge(crate::dialplans::routes())
        .merge(crate::calendars::routes())
        .merge(crate::bots::routes())
        .merge(crate::calls::routes())
        .merge(crate::events::routes())
        .merge(crate::voicemails::routes())
        .merge(crate::my::routes())
        .merge(crate::audit::routes())
        .merge(crate::network_info::routes())
        .merge(crate::setup::routes())
        .merge(crate::ssh::routes())
        .merge(crate::bans::routes())
        .merge(crate::update::routes())
}

async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no_such_path", format!("there is nothing at {}", uri.path()))
        .hint("GET /openapi.json lists all paths")
}

async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    let detail = format!("{} does not take {method}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
