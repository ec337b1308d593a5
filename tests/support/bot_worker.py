"""A minimal livekit-agents worker: joins the room it is sent to and hums at 550 Hz."""

import array
import asyncio
import logging
import math
import sys

from livekit import rtc
from livekit.agents import AgentServer, JobContext, JobExecutorType

NAME, URL, KEY, SECRET = sys.argv[1:5]
RATE, FRAME, HZ = 48000, 480, 550

logging.basicConfig(level=logging.INFO)


async def hum(job: JobContext):
    await job.connect()
    source = rtc.AudioSource(RATE, 1)
    track = rtc.LocalAudioTrack.create_audio_track("hum", source)
    await job.room.local_participant.publish_track(track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
    n = 0
    while job.room.isconnected():
        samples = array.array("h", (int(9000 * math.sin(2 * math.pi * HZ * (n + i) / RATE)) for i in range(FRAME)))
        n += FRAME
        await source.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE, 1, FRAME))


server = AgentServer(
    ws_url=URL, api_key=KEY, api_secret=SECRET, host="127.0.0.1", port=0, job_executor_type=JobExecutorType.THREAD,
    num_idle_processes=0, load_fnc=lambda: 0.0)
server.rtc_session(hum, agent_name=NAME)
asyncio.run(server.run())
