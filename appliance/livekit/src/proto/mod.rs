//! Which LiveKit messages does the published protocol crate leave out?
//!
//! `livekit-protocol` has the public messages (package `livekit`). The ones that servers say to
//! each other are written out here by hand, field by field: [`internal`] is psrpc's own envelope,
//! [`io`] what a SIP gateway asks livekit-server, [`sip`] what livekit-server asks the gateway.
//! Every struct names the file and message it mirrors. Field numbers are those of protocol
//! v1.50.5 and of the newer protocol in `livekit-protocol` 0.8.2; the two agree wherever both
//! have a field.

pub mod internal;
pub mod io;
pub mod sip;
mod well_known;

pub use livekit_protocol::{
    Destination, ProviderInfo, RoomConfiguration, SipCallDirection, SipCallInfo, SipCallStatus, SipCodec, SipFeature,
    SipHeaderOptions, SipMediaConfig, SipMediaEncryption, SipNamedDest, SipRequestDest, SipStatus, SipStatusCode,
    SipTransferInfo, SipTransferReason, SipTransferStatus, SipTransport, SipUri,
};
pub use well_known::{Any, Duration, Empty};

/// The `media` of a message whose older field `media_encryption` may be the only one set
/// (livekit/sip.go, `UpgradeWith`).
fn upgraded_media(media: Option<SipMediaConfig>, media_encryption: i32) -> SipMediaConfig {
    let mut media = media.unwrap_or_default();
    if media.encryption.is_none() {
        media.encryption = Some(media_encryption);
    }
    media
}
