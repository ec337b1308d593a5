"""Trunks and rules straight in LiveKit, as a user of LiveKit's own SIP API would make them."""

import random

from boxkit import new_number
from google.protobuf.duration_pb2 import Duration
from livekit import api


class LiveKitSip:
    """What one test makes in LiveKit; removed at its end."""

    def __init__(self, box):
        self.keys, self.trunks, self.rules = box.facts["livekit"], [], []
        self.tag = f"{random.getrandbits(40):x}"

    async def __aenter__(self):
        url = self.keys["url"].replace("ws", "http", 1)
        self.api = api.LiveKitAPI(url, self.keys["api_key"], self.keys["api_secret"])
        return self

    async def __aexit__(self, *_):
        for rule in self.rules:
            await self.api.sip.delete_dispatch_rule(api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule))
        for trunk in self.trunks:
            await self.api.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk))
        await self.api.aclose()

    async def inbound(self, room, pin="", rule=None, ruled=None, **fields):
        """A number that joins `room`, or whatever `rule` says; `ruled` are more fields of the rule. (number, trunk id)"""
        number = new_number()
        info = api.SIPInboundTrunkInfo(name=f"in {self.tag}", numbers=[number], **fields)
        trunk = await self.api.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=info))
        self.trunks.append(trunk.sip_trunk_id)
        direct = api.SIPDispatchRule(dispatch_rule_direct=api.SIPDispatchRuleDirect(room_name=room, pin=pin))
        rule = await self.api.sip.create_dispatch_rule(api.CreateSIPDispatchRuleRequest(
            rule=rule or direct, trunk_ids=[trunk.sip_trunk_id], name=f"rule {self.tag}", attributes={"desk": "left"}, **ruled or {}))
        self.rules.append(rule.sip_dispatch_rule_id)
        return number, trunk.sip_trunk_id

    async def outbound(self, phone, **fields):
        info = api.SIPOutboundTrunkInfo(name=f"out {self.tag}", address=f"{phone.host}:{phone.port}", numbers=["+31201110000"], **fields)
        trunk = await self.api.sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=info))
        self.trunks.append(trunk.sip_trunk_id)
        return trunk.sip_trunk_id

    async def dial(self, trunk, room, ringing=None, **fields):
        if ringing:
            fields["ringing_timeout"] = Duration(seconds=ringing)
        return await self.api.sip.create_sip_participant(api.CreateSIPParticipantRequest(
            sip_trunk_id=trunk, sip_call_to="+31612340000", room_name=room, participant_identity="phone", **fields))

    async def transfer(self, room, identity, to, **fields):
        await self.api.sip.transfer_sip_participant(
            api.TransferSIPParticipantRequest(room_name=room, participant_identity=identity, transfer_to=to, **fields))

    async def rooms(self):
        return [room.name for room in (await self.api.room.list_rooms(api.ListRoomsRequest())).rooms]

    async def set_attributes(self, room, identity, attributes):
        await self.api.room.update_participant(
            api.UpdateParticipantRequest(room=room, identity=identity, attributes=attributes))

    async def delete_room(self, room):
        await self.api.room.delete_room(api.DeleteRoomRequest(room=room))

    async def guests(self, room):
        answer = await self.api.room.list_participants(api.ListParticipantsRequest(room=room))
        return answer.participants
