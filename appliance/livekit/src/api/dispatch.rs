//! Jobs for agents.

use super::{
    Api, ApiError,
    twirp::{Grants, TIMEOUT},
};
use livekit_protocol::{
    AgentDispatch, CreateAgentDispatchRequest, DeleteAgentDispatchRequest, ListAgentDispatchRequest,
    ListAgentDispatchResponse,
};

impl Api {
    /// Asks for an agent of this name in a room (made if it is not there). livekit-server asks the
    /// workers once: if none is there or free, nobody comes, and [`find_dispatch`](Self::find_dispatch)
    /// goes on showing no job.
    pub async fn create_dispatch(&self, room: &str, agent: &str, metadata: &str) -> Result<AgentDispatch, ApiError> {
        let request = CreateAgentDispatchRequest {
            agent_name: agent.to_owned(),
            room: room.to_owned(),
            metadata: metadata.to_owned(),
            ..Default::default()
        };
        self.twirp.call("AgentDispatchService/CreateDispatch", Grants::room_admin(room), &request, TIMEOUT).await
    }

    /// A dispatch and the jobs that workers took for it; none if it or the room is gone.
    pub async fn find_dispatch(&self, room: &str, dispatch_id: &str) -> Result<Option<AgentDispatch>, ApiError> {
        Ok(self.dispatches(room, dispatch_id).await?.pop())
    }

    /// All of a room, also the one without a name that LiveKit makes by itself; none if the room does
    /// not exist.
    pub async fn list_dispatches(&self, room: &str) -> Result<Vec<AgentDispatch>, ApiError> {
        self.dispatches(room, "").await
    }

    async fn dispatches(&self, room: &str, dispatch_id: &str) -> Result<Vec<AgentDispatch>, ApiError> {
        let request = ListAgentDispatchRequest { room: room.to_owned(), dispatch_id: dispatch_id.to_owned() };
        let method = "AgentDispatchService/ListDispatch";
        match self.twirp.call(method, Grants::room_admin(room), &request, TIMEOUT).await {
            Ok(ListAgentDispatchResponse { agent_dispatches }) => Ok(agent_dispatches),
            Err(error) => self.unless_gone(room, error).await.map(|()| Vec::new()),
        }
    }

    /// Ends a dispatch and its job; one that is gone already is no error.
    pub async fn delete_dispatch(&self, room: &str, dispatch_id: &str) -> Result<(), ApiError> {
        let request = DeleteAgentDispatchRequest { dispatch_id: dispatch_id.to_owned(), room: room.to_owned() };
        let method = "AgentDispatchService/DeleteDispatch";
        match self.twirp.call::<_, AgentDispatch>(method, Grants::room_admin(room), &request, TIMEOUT).await {
            Ok(_) => Ok(()),
            Err(error) => self.unless_gone(room, error).await,
        }
    }

    /// A room answers for its dispatches itself: when it is gone, livekit-server says no more than that
    /// nobody answered.
    async fn unless_gone(&self, room: &str, error: ApiError) -> Result<(), ApiError> {
        let nobody_answered = error.refusal().is_some_and(|refusal| refusal.code == "unavailable");
        let gone = error.is_not_found() || nobody_answered && self.list_rooms(&[room.to_owned()]).await?.is_empty();
        if gone { Ok(()) } else { Err(error) }
    }
}
