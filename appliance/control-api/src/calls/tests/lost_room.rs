//! Stories of a livekit-server that was away.

use super::*;
use livekit_protocol::{CreateRoomRequest, ListRoomsResponse};
use std::time::Duration;

fn livekit_has(bed: &Bed, rooms: &[&str]) {
    let rooms = rooms.iter().map(|name| Room { name: (*name).to_owned(), ..Default::default() }).collect();
    let body = ListRoomsResponse { rooms }.encode_to_vec();
    bed.livekit.answer("/twirp/livekit.RoomService/ListRooms", StatusCode::OK, body);
}

#[tokio::test]
async fn a_room_of_a_call_that_ended_meanwhile_is_closed_and_others_are_left_alone() {
    let bed = Bed::new().await;
    let (call, _) = talking(&bed).await;
    bed.leg_ended("SCL_in", LegEndCause::RoomLost, None).await;
    assert_eq!(bed.ended(&call).await["end_reason"], "failed");
    let deleted = || bed.livekit.paths().iter().filter(|path| path.ends_with("/DeleteRoom")).count();
    bed.livekit.asked("/DeleteRoom").await;
    let before = deleted();
    livekit_has(&bed, &["room-1", "somebody-elses"]);
    super::super::reconcile(&bed.app).await.unwrap();
    let closed = async {
        while deleted() == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.expect("the room is closed");
    let made = bed.livekit.paths().iter().filter(|path| path.ends_with("/CreateRoom")).count();
    assert_eq!(made, 1, "only one was ours");
    let made = CreateRoomRequest::decode(bed.livekit.asked("/CreateRoom").await).unwrap();
    assert_eq!(made.name, "room-1");
}

#[tokio::test]
async fn a_room_that_livekit_says_is_finished_does_not_end_a_call_whose_phone_is_kept() {
    let bed = Bed::new().await;
    let (call, asked) = dial(&bed).await;
    bed.event(dialing("SCL_out", &asked.room_name, &asked.participant_identity)).await;
    bed.answered("SCL_out").await;
    let finished = WebhookEvent {
        event: "room_finished".into(),
        room: Some(Room { name: asked.room_name.clone(), ..Default::default() }),
        ..Default::default()
    };
    bed.gateway_has(&["SCL_out"]);
    assert_eq!(bed.webhook(&finished).await, StatusCode::OK);
    assert_eq!(bed.find(&call).await["state"], "active", "the gateway takes its phone back into it");
    bed.gateway_has(&[]);
    assert_eq!(bed.webhook(&finished).await, StatusCode::OK);
    assert_eq!(bed.find(&call).await["end_reason"], "completed");
}
