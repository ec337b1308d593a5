//! Is this a trunk?

use crate::{
    error::{ApiResult, FieldError},
    fields::{self, Fields},
};
use store::trunks::{AuthMode, Codec, MediaEncryption, NumberFormat, SipTransport, TrunkSpec};

/// Reads the whole of a trunk.
pub fn read(mut fields: Fields) -> ApiResult<TrunkSpec> {
    let name = fields.req("name", fields::text(1..=80));
    let sip_server_address = fields.req("sip_server_address", fields::host_port);
    let sip_transport = fields.or("sip_transport", SipTransport::Udp, fields::choice);
    let auth_mode = fields.or("auth_mode", AuthMode::Credentials, fields::choice);
    let sip_auth_username = fields.opt("sip_auth_username", fields::text(1..=120));
    let sip_auth_password = fields.opt("sip_auth_password", fields::secret(1..=200));
    let register = fields.or("register", auth_mode != Some(AuthMode::Ip), fields::boolean);
    let allowed_addresses = fields.or("allowed_addresses", Vec::new(), fields::list(100, fields::network));
    let media_encryption = fields.or("media_encryption", MediaEncryption::Disable, fields::choice);
    let codecs = fields.or("codecs", vec![Codec::Pcmu, Codec::Pcma, Codec::G722], fields::list(8, fields::choice));
    let accept_transfers = fields.or("accept_transfers", false, fields::boolean);
    let number_format = fields.or("number_format", NumberFormat::Any, fields::choice);
    let priority = fields.or("priority", 100, fields::integer(0..=1_000_000));
    let enabled = fields.or("enabled", true, fields::boolean);
    if auth_mode == Some(AuthMode::Credentials) {
        let absent = [("sip_auth_username", &sip_auth_username), ("sip_auth_password", &sip_auth_password)];
        let absent = absent.into_iter().filter(|(_, value)| **value == Some(None));
        fields.extend(absent.map(|(field, _)| {
            FieldError::new(field, "required", "is required with auth_mode credentials")
                .hint("or set auth_mode to ip, when the carrier knows us by our address")
        }));
    }
    if auth_mode == Some(AuthMode::Ip) && register == Some(true) {
        let error = FieldError::new("register", "needs_credentials", "a trunk with auth_mode ip cannot register");
        fields.extend([error]);
    }
    if codecs.as_ref().is_some_and(Vec::is_empty) {
        fields.extend([FieldError::new("codecs", "required", "needs at least one codec")]);
    }
    fields.build(|| {
        Some(TrunkSpec {
            name: name?,
            sip_server_address: sip_server_address?,
            sip_transport: sip_transport?,
            auth_mode: auth_mode?,
            sip_auth_username: sip_auth_username?,
            sip_auth_password: sip_auth_password?,
            register: register?,
            allowed_addresses: allowed_addresses?,
            media_encryption: media_encryption?,
            codecs: codecs?,
            accept_transfers: accept_transfers?,
            number_format: number_format?,
            priority: priority?,
            enabled: enabled?,
        })
    })
}
