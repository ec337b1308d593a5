"""How does somebody in a LiveKit room hear and speak?  The official Python client with a tone generator."""

import asyncio
import json

import numpy as np
from livekit import api, rtc

RATE = 48000
FRAME = RATE // 100


class Guest:
    """A participant that speaks one tone and keeps what it hears, at `rate`."""

    rate = 8000

    def __init__(self, url, token):
        self.url, self.token = url, token
        self.room, self.tasks = None, []
        self.samples, self.digits, self.gone, self.reason = [], "", [], None
        self.source = None
        self.disconnected = asyncio.Event()

    @classmethod
    def invited(cls, box, room, identity="person"):
        """With a token made from the box's own LiveKit key."""
        keys = box.facts["livekit"]
        grants = api.VideoGrants(room_join=True, room=room)
        token = api.AccessToken(keys["api_key"], keys["api_secret"]).with_identity(identity).with_grants(grants).to_jwt()
        return cls(keys["url"], token)

    async def __aenter__(self):
        self.room = rtc.Room()  # it wants the loop it is made in
        self.room.on("track_subscribed", self._subscribed)
        self.room.on("sip_dtmf_received", self._digit)
        self.room.on("participant_disconnected", lambda who: self.gone.append(who.identity))
        self.room.on("disconnected", self._disconnected)
        await self.room.connect(self.url, self.token)
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        await self.room.disconnect()

    def _subscribed(self, track, *_):
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self.tasks.append(asyncio.ensure_future(self._listen(track)))

    def _digit(self, digit):
        self.digits += digit.digit

    def _disconnected(self, reason):
        self.reason = reason
        self.disconnected.set()

    async def _listen(self, track):
        async for event in rtc.AudioStream(track, sample_rate=self.rate, num_channels=1):
            self.samples.extend(np.frombuffer(bytes(event.frame.data), dtype=np.int16).tolist())

    @property
    def others(self):
        return self.room.remote_participants

    async def speak(self, hz, level=9000):
        """Publishes a microphone with this tone; None is silence that is nevertheless published."""
        self.source = rtc.AudioSource(RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track("voice", self.source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)
        self.tasks.append(asyncio.ensure_future(self._run(hz, level)))

    async def _run(self, hz, level):
        n = 0
        while True:
            samples = level * np.sin(2 * np.pi * (hz or 0) * np.arange(n, n + FRAME) / RATE)
            n += FRAME
            await self.source.capture_frame(rtc.AudioFrame(samples.astype(np.int16).tobytes(), RATE, 1, FRAME))

    async def ask(self, identity, method, payload=None):
        """A remote procedure call whose payloads are JSON."""
        said = await self.room.local_participant.perform_rpc(
            destination_identity=identity, method=method, payload=json.dumps(payload or {}))
        return json.loads(said)

    async def press(self, digits):
        for digit in digits:
            code = "0123456789*#ABCD".index(digit)
            await self.room.local_participant.publish_dtmf(code=code, digit=digit)
