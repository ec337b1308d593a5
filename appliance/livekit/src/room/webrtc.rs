//! With which codecs, extensions and channels is the WebRTC connection set up?
//!
//! Little is asked for, so that every packet costs little: no bandwidth estimation, no RED.

use str0m::channel::{ChannelConfig, Reliability};
use str0m::format::Codec;
use str0m::media::Pt;
use str0m::rtp::{Extension, ExtensionMap};
use str0m::{Rtc, RtcConfig};

use super::{AudioCodec, Certificate};

/// PCMU, PCMA and Opus can always be received; the order says what we would rather send.
pub(super) fn config(certificate: &Certificate, publish: Option<AudioCodec>) -> RtcConfig {
    let mut extensions = ExtensionMap::empty();
    extensions.set(1, Extension::AudioLevel);
    extensions.set(4, Extension::RtpMid);
    let config = RtcConfig::new()
        .set_crypto_provider(certificate.provider.clone())
        .set_dtls_cert(certificate.dtls.clone())
        .set_rtp_mode(true)
        .set_extension_map(extensions)
        .clear_codecs();
    match publish {
        None | Some(AudioCodec::Pcmu) => {
            config.enable_pcmu(true, false).enable_pcma(true, false).enable_opus(true, false)
        }
        Some(AudioCodec::Pcma) => config.enable_pcma(true, false).enable_pcmu(true, false).enable_opus(true, false),
        Some(AudioCodec::Opus) => config.enable_opus(true, false).enable_pcmu(true, false).enable_pcma(true, false),
    }
}

pub(super) fn lossy_channel() -> ChannelConfig {
    ChannelConfig {
        label: "_lossy".to_owned(),
        ordered: false,
        reliability: Reliability::MaxRetransmits { retransmits: 0 },
        ..Default::default()
    }
}

pub(super) fn codec_of(rtc: &Rtc, pt: Pt) -> Option<AudioCodec> {
    match rtc.codec_config().find(|params| params.pt() == pt)?.spec().codec {
        Codec::Opus => Some(AudioCodec::Opus),
        Codec::PCMU => Some(AudioCodec::Pcmu),
        Codec::PCMA => Some(AudioCodec::Pcma),
        _ => None,
    }
}
