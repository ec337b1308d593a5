//! Who is asking, and may they?
//!
//! [`Caller`] comes from a session cookie (with its CSRF token on everything but reads) or from an API
//! key. [`Role`]s are a small table, see [`permissions`](self::permissions); everything a caller
//! touches is looked up in their own tenant, so a foreign id is simply not found. The operator may
//! work in another tenant by naming it in `Scaibox-Tenant`.

mod caller;
mod guard;
pub mod http;
mod permissions;
pub mod secrets;

pub use caller::Caller;
pub use guard::Guard;
pub use permissions::Permission;
pub use store::users::Role;
