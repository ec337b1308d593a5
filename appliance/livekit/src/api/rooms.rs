//! Rooms and who is in them.

use super::{
    Api, ApiError,
    twirp::{Grants, TIMEOUT},
};
use crate::proto::Empty;
use livekit_api::access_token::VideoGrants;
use livekit_protocol::{
    CreateRoomRequest, DeleteRoomRequest, ListParticipantsRequest, ListParticipantsResponse, ListRoomsRequest,
    ListRoomsResponse, ParticipantInfo, Room, RoomParticipantIdentity,
};

impl Api {
    /// Creates a room, or answers the one that is there.
    pub async fn create_room(&self, room: &CreateRoomRequest) -> Result<Room, ApiError> {
        let grants = rooms(VideoGrants { room_create: true, ..Default::default() });
        self.twirp.call("RoomService/CreateRoom", grants, room, TIMEOUT).await
    }

    /// The rooms of these names that exist, or all.
    pub async fn list_rooms(&self, names: &[String]) -> Result<Vec<Room>, ApiError> {
        let grants = rooms(VideoGrants { room_list: true, ..Default::default() });
        let request = ListRoomsRequest { names: names.to_vec() };
        let response: ListRoomsResponse = self.twirp.call("RoomService/ListRooms", grants, &request, TIMEOUT).await?;
        Ok(response.rooms)
    }

    /// Ends a room for everybody; one that is gone already is no error.
    pub async fn delete_room(&self, room: &str) -> Result<(), ApiError> {
        let grants = rooms(VideoGrants { room_create: true, ..Default::default() });
        let request = DeleteRoomRequest { room: room.to_owned() };
        gone(self.twirp.call::<_, Empty>("RoomService/DeleteRoom", grants, &request, TIMEOUT).await)
    }

    /// Nobody, if the room does not exist.
    pub async fn list_participants(&self, room: &str) -> Result<Vec<ParticipantInfo>, ApiError> {
        let request = ListParticipantsRequest { room: room.to_owned() };
        let method = "RoomService/ListParticipants";
        let response = self.twirp.call(method, Grants::room_admin(room), &request, TIMEOUT).await;
        match response {
            Ok(ListParticipantsResponse { participants, .. }) => Ok(participants),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// None: not in the room, or no such room.
    pub async fn find_participant(&self, room: &str, identity: &str) -> Result<Option<ParticipantInfo>, ApiError> {
        let request =
            RoomParticipantIdentity { room: room.to_owned(), identity: identity.to_owned(), ..Default::default() };
        match self.twirp.call("RoomService/GetParticipant", Grants::room_admin(room), &request, TIMEOUT).await {
            Ok(participant) => Ok(Some(participant)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts somebody out; whoever left already is no error. A phone is hung up by this.
    pub async fn remove_participant(&self, room: &str, identity: &str) -> Result<(), ApiError> {
        let request =
            RoomParticipantIdentity { room: room.to_owned(), identity: identity.to_owned(), ..Default::default() };
        let method = "RoomService/RemoveParticipant";
        gone(self.twirp.call::<_, Empty>(method, Grants::room_admin(room), &request, TIMEOUT).await)
    }
}

fn rooms(video: VideoGrants) -> Grants {
    Grants { video, ..Grants::default() }
}

fn gone<T>(done: Result<T, ApiError>) -> Result<(), ApiError> {
    match done {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
