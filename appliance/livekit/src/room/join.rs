//! How does the address of a join or a resume look?
//!
//! `/rtc/v1?join_request=` carries everything: who we are, the track to publish and the first
//! offer, so that one round trip joins, publishes and negotiates.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use livekit_protocol as proto;
use prost::Message as _;

use super::{AudioCodec, JoinOptions, RoomError};

/// Client id of our one audio track; the same name is in the offer.
pub(super) const TRACK_CID: &str = "microphone";
/// The signalling protocol this client was written against.
const PROTOCOL: i32 = 16;

/// The address of a first join.
pub(super) fn join_url(options: &JoinOptions, offer: proto::SessionDescription) -> Result<String, RoomError> {
    let request = proto::JoinRequest {
        participant_attributes: options.attributes.clone(),
        add_track_requests: add_track(options).into_iter().collect(),
        publisher_offer: Some(offer),
        ..base_request(options)
    };
    address(&options.url, &request)
}

/// The address under which a participant takes up its lost signalling again.
pub(super) fn resume_url(
    options: &JoinOptions,
    participant_sid: &str,
    reason: proto::ReconnectReason,
) -> Result<String, RoomError> {
    let request = proto::JoinRequest {
        reconnect: true,
        reconnect_reason: reason.into(),
        participant_sid: participant_sid.to_owned(),
        ..base_request(options)
    };
    address(&options.url, &request)
}

fn base_request(options: &JoinOptions) -> proto::JoinRequest {
    proto::JoinRequest {
        client_info: Some(proto::ClientInfo {
            // livekit-server moves other clients to ICE over TCP when UDP breaks, and hides its
            // UDP address from them; it knows that a Go client speaks UDP alone, as we do.
            sdk: proto::client_info::Sdk::Go.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            os: std::env::consts::OS.to_owned(),
            other_sdks: options.client_name.clone(),
            ..Default::default()
        }),
        connection_settings: Some(proto::ConnectionSettings {
            auto_subscribe: false,
            auto_subscribe_data_track: Some(false),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn add_track(options: &JoinOptions) -> Option<proto::AddTrackRequest> {
    let track = options.publish.as_ref()?;
    let codec = options.published_codec()?;
    Some(proto::AddTrackRequest {
        cid: TRACK_CID.to_owned(),
        name: track.name.clone(),
        r#type: proto::TrackType::Audio.into(),
        source: proto::TrackSource::Microphone.into(),
        simulcast_codecs: simulcast_codecs(codec),
        ..Default::default()
    })
}

/// A codec other than Opus must be asked for by name.
fn simulcast_codecs(codec: AudioCodec) -> Vec<proto::SimulcastCodec> {
    if codec == AudioCodec::Opus {
        return Vec::new();
    }
    vec![proto::SimulcastCodec { codec: codec.mime_type().to_owned(), cid: TRACK_CID.to_owned(), ..Default::default() }]
}

fn address(url: &str, request: &proto::JoinRequest) -> Result<String, RoomError> {
    if !url.starts_with("ws://") && !url.starts_with("wss://") {
        return Err(RoomError::Url(url.to_owned()));
    }
    let wrapped = proto::WrappedJoinRequest {
        compression: proto::wrapped_join_request::Compression::None.into(),
        join_request: request.encode_to_vec(),
    };
    let encoded = URL_SAFE.encode(wrapped.encode_to_vec());
    Ok(format!("{}/rtc/v1?join_request={encoded}", url.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::super::{PublishTrack, RoomCodec};
    use super::*;

    fn options(codecs: &[AudioCodec], room_codec: RoomCodec) -> JoinOptions {
        JoinOptions {
            url: "ws://127.0.0.1:7880/".to_owned(),
            token: "token".to_owned(),
            attributes: [("sip.callStatus".to_owned(), "ringing".to_owned())].into(),
            publish: Some(PublishTrack { name: "phone".to_owned(), codec_preference: codecs.to_vec() }),
            room_codec,
            subscribe_audio: true,
            client_name: "sip-gateway".to_owned(),
        }
    }

    fn decode(url: &str) -> proto::JoinRequest {
        let (base, encoded) = url.split_once("?join_request=").expect("a join request");
        assert_eq!(base, "ws://127.0.0.1:7880/rtc/v1");
        assert_eq!(encoded.len() % 4, 0, "the server wants padding");
        let wrapped = URL_SAFE.decode(encoded).expect("base64url");
        let wrapped = proto::WrappedJoinRequest::decode(&*wrapped).expect("a wrapper");
        proto::JoinRequest::decode(&*wrapped.join_request).expect("a join request")
    }

    #[test]
    fn a_join_carries_the_offer_the_attributes_and_the_track() {
        let offer = proto::SessionDescription { sdp: "v=0".to_owned(), id: 1, ..Default::default() };
        let options = options(&[AudioCodec::Pcmu, AudioCodec::Opus], RoomCodec::Auto);
        let request = decode(&join_url(&options, offer.clone()).unwrap());
        assert_eq!(request.publisher_offer, Some(offer));
        assert_eq!(request.participant_attributes["sip.callStatus"], "ringing");
        assert!(!request.connection_settings.unwrap().auto_subscribe);
        let client = request.client_info.unwrap();
        assert_eq!(client.sdk(), proto::client_info::Sdk::Go, "or UDP would be taken from us");
        let track = &request.add_track_requests[0];
        assert_eq!((track.cid.as_str(), track.name.as_str()), (TRACK_CID, "phone"));
        assert_eq!(track.simulcast_codecs[0].codec, "audio/PCMU");
        assert_eq!(track.simulcast_codecs[0].cid, TRACK_CID);
    }

    #[test]
    fn room_codec_opus_overrules_the_preference() {
        let options = options(&[AudioCodec::Pcmu], RoomCodec::Opus);
        assert_eq!(options.published_codec(), Some(AudioCodec::Opus));
        let request = decode(&join_url(&options, proto::SessionDescription::default()).unwrap());
        assert!(request.add_track_requests[0].simulcast_codecs.is_empty());
    }

    #[test]
    fn a_resume_names_the_participant_and_publishes_nothing_again() {
        let options = options(&[AudioCodec::Pcmu], RoomCodec::Auto);
        let reason = proto::ReconnectReason::RrSignalDisconnected;
        let request = decode(&resume_url(&options, "PA_1", reason).unwrap());
        assert!(request.reconnect);
        assert_eq!(request.participant_sid, "PA_1");
        assert!(request.add_track_requests.is_empty());
        assert_eq!(request.publisher_offer, None);
    }

    #[test]
    fn an_http_address_is_refused() {
        let mut options = options(&[], RoomCodec::Auto);
        options.url = "http://127.0.0.1:7880".to_owned();
        let join = join_url(&options, proto::SessionDescription::default());
        assert!(matches!(join, Err(RoomError::Url(_))));
    }
}
