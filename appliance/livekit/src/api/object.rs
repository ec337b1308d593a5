//! How does an object at LiveKit become what it should be?
//!
//! [`Api::ensure`] looks for the one of ours, makes or replaces it, and deletes surplus ones; the
//! three kinds differ in the names of the methods alone.

use super::{
    Api, ApiError, ours,
    twirp::{Grants, TIMEOUT},
};
use livekit_protocol::{
    CreateSipDispatchRuleRequest, CreateSipInboundTrunkRequest, CreateSipOutboundTrunkRequest,
    DeleteSipDispatchRuleRequest, DeleteSipTrunkRequest, ListSipDispatchRuleRequest, ListSipDispatchRuleResponse,
    ListSipInboundTrunkRequest, ListSipInboundTrunkResponse, ListSipOutboundTrunkRequest, ListSipOutboundTrunkResponse,
    SipDispatchRuleInfo, SipInboundTrunkInfo, SipOutboundTrunkInfo, UpdateSipDispatchRuleRequest,
    UpdateSipInboundTrunkRequest, UpdateSipOutboundTrunkRequest, update_sip_dispatch_rule_request,
    update_sip_inbound_trunk_request, update_sip_outbound_trunk_request,
};
use prost::Message;
use types::TrunkId;

/// An inbound trunk, an outbound trunk or a dispatch rule at LiveKit.
pub trait Object: Message + Default + Clone + PartialEq {
    fn id(&self) -> &str;
    fn metadata(&self) -> &str;
    /// Without what LiveKit fills in.
    fn into_sent(self) -> Self;

    fn list(api: &Api) -> impl Future<Output = Result<Vec<Self>, ApiError>> + Send;
    fn create(self, api: &Api) -> impl Future<Output = Result<Self, ApiError>> + Send;
    fn replace(self, api: &Api, id: &str) -> impl Future<Output = Result<Self, ApiError>> + Send;
    fn delete(api: &Api, id: &str) -> impl Future<Output = Result<(), ApiError>> + Send;
}

impl Api {
    /// Makes `trunk` have this object and no second one; answers LiveKit's id of it.
    pub(super) async fn ensure<T: Object>(&self, trunk: TrunkId, wanted: T) -> Result<String, ApiError> {
        let mut found = self.find::<T>(trunk).await?.into_iter();
        let Some(current) = found.next() else {
            return Ok(wanted.create(self).await?.id().to_owned());
        };
        for surplus in found {
            T::delete(self, surplus.id()).await?;
        }
        let id = current.id().to_owned();
        if current.into_sent() != wanted {
            wanted.replace(self, &id).await?;
        }
        Ok(id)
    }

    /// Deletes all objects of this kind that `trunk` has.
    pub(super) async fn delete<T: Object>(&self, trunk: TrunkId) -> Result<(), ApiError> {
        for object in self.find::<T>(trunk).await? {
            T::delete(self, object.id()).await?;
        }
        Ok(())
    }

    async fn find<T: Object>(&self, trunk: TrunkId) -> Result<Vec<T>, ApiError> {
        let mut all = T::list(self).await?;
        all.retain(|object| ours::trunk_of(object.metadata()) == Some(trunk));
        Ok(all)
    }

    async fn sip<Q: Message, R: Message + Default>(&self, method: &str, request: &Q) -> Result<R, ApiError> {
        self.twirp.call(&format!("SIP/{method}"), Grants::sip_admin(), request, TIMEOUT).await
    }
}

/// Gone is gone, whoever did it.
fn gone<T>(deleted: Result<T, ApiError>) -> Result<(), ApiError> {
    match deleted {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

impl Object for SipInboundTrunkInfo {
    fn id(&self) -> &str {
        &self.sip_trunk_id
    }

    fn metadata(&self) -> &str {
        &self.metadata
    }

    #[allow(deprecated)] // LiveKit copies it from `media`
    fn into_sent(self) -> Self {
        Self { sip_trunk_id: String::new(), created_at: None, updated_at: None, media_encryption: 0, ..self }
    }

    async fn list(api: &Api) -> Result<Vec<Self>, ApiError> {
        let all: ListSipInboundTrunkResponse =
            api.sip("ListSIPInboundTrunk", &ListSipInboundTrunkRequest::default()).await?;
        Ok(all.items)
    }

    async fn create(self, api: &Api) -> Result<Self, ApiError> {
        api.sip("CreateSIPInboundTrunk", &CreateSipInboundTrunkRequest { trunk: Some(self) }).await
    }

    async fn replace(self, api: &Api, id: &str) -> Result<Self, ApiError> {
        let action = Some(update_sip_inbound_trunk_request::Action::Replace(self));
        api.sip("UpdateSIPInboundTrunk", &UpdateSipInboundTrunkRequest { sip_trunk_id: id.to_owned(), action }).await
    }

    async fn delete(api: &Api, id: &str) -> Result<(), ApiError> {
        delete_trunk(api, id).await
    }
}

impl Object for SipOutboundTrunkInfo {
    fn id(&self) -> &str {
        &self.sip_trunk_id
    }

    fn metadata(&self) -> &str {
        &self.metadata
    }

    #[allow(deprecated)] // LiveKit copies it from `media`
    fn into_sent(self) -> Self {
        Self { sip_trunk_id: String::new(), created_at: None, updated_at: None, media_encryption: 0, ..self }
    }

    async fn list(api: &Api) -> Result<Vec<Self>, ApiError> {
        let all: ListSipOutboundTrunkResponse =
            api.sip("ListSIPOutboundTrunk", &ListSipOutboundTrunkRequest::default()).await?;
        Ok(all.items)
    }

    async fn create(self, api: &Api) -> Result<Self, ApiError> {
        api.sip("CreateSIPOutboundTrunk", &CreateSipOutboundTrunkRequest { trunk: Some(self) }).await
    }

    async fn replace(self, api: &Api, id: &str) -> Result<Self, ApiError> {
        let action = Some(update_sip_outbound_trunk_request::Action::Replace(self));
        api.sip("UpdateSIPOutboundTrunk", &UpdateSipOutboundTrunkRequest { sip_trunk_id: id.to_owned(), action }).await
    }

    async fn delete(api: &Api, id: &str) -> Result<(), ApiError> {
        delete_trunk(api, id).await
    }
}

impl Object for SipDispatchRuleInfo {
    fn id(&self) -> &str {
        &self.sip_dispatch_rule_id
    }

    fn metadata(&self) -> &str {
        &self.metadata
    }

    #[allow(deprecated)] // LiveKit copies it from `media`
    fn into_sent(self) -> Self {
        let media = None; // made up by LiveKit; a rule of ours has none, the trunk has
        Self {
            sip_dispatch_rule_id: String::new(),
            created_at: None,
            updated_at: None,
            media_encryption: 0,
            media,
            ..self
        }
    }

    async fn list(api: &Api) -> Result<Vec<Self>, ApiError> {
        let all: ListSipDispatchRuleResponse =
            api.sip("ListSIPDispatchRule", &ListSipDispatchRuleRequest::default()).await?;
        Ok(all.items)
    }

    async fn create(self, api: &Api) -> Result<Self, ApiError> {
        let request = CreateSipDispatchRuleRequest { dispatch_rule: Some(self), ..Default::default() };
        api.sip("CreateSIPDispatchRule", &request).await
    }

    async fn replace(self, api: &Api, id: &str) -> Result<Self, ApiError> {
        let action = Some(update_sip_dispatch_rule_request::Action::Replace(self));
        let sip_dispatch_rule_id = id.to_owned();
        api.sip("UpdateSIPDispatchRule", &UpdateSipDispatchRuleRequest { sip_dispatch_rule_id, action }).await
    }

    async fn delete(api: &Api, id: &str) -> Result<(), ApiError> {
        let request = DeleteSipDispatchRuleRequest { sip_dispatch_rule_id: id.to_owned() };
        gone(api.sip::<_, SipDispatchRuleInfo>("DeleteSIPDispatchRule", &request).await)
    }
}

async fn delete_trunk(api: &Api, id: &str) -> Result<(), ApiError> {
    let request = DeleteSipTrunkRequest { sip_trunk_id: id.to_owned() };
    gone(api.sip::<_, crate::proto::Empty>("DeleteSIPTrunk", &request).await)
}
