"""Is a message recorded as it was spoken, served in ranges, and safe when parts of the box die?"""

import asyncio

import numpy as np
from boxkit import eventually
from phone import Phone
from tones import read_wav, runs, sine

BEEP = 1000
TONES = (440, 880, 620)
MESSAGE = [(440, 1.0), (880, 0.6), (440, 0.5), (620, 1.4)]
LEVEL = 8000
TO_VOICEMAIL = {"action_type": "voicemail"}


def spoken():
    return np.concatenate([sine(hz, seconds, level=LEVEL) for hz, seconds in MESSAGE]).tolist()


async def after_the_beep(call):
    """Returns when greeting and beep are over: 160 ms without the beep after it was heard."""

    def over():
        heard = np.array(call.media.heard(8), dtype=np.int16)
        beeps = runs(heard, 8000, [BEEP])
        return beeps and len(heard) / 8000 - beeps[-1].start - beeps[-1].length > 0.16

    await eventually(over, 40, "greeting and beep")


async def leave_message(box, number):
    """Calls, waits for the beep, speaks the tones, hangs up."""
    async with Phone() as phone:
        call = await phone.call(number, box.sip)
        assert call.status == 200
        await after_the_beep(call)
        await call.media.play(spoken())
        assert await call.hangup() == 200
    return call


async def stored_message(box, call_id, limit=30):
    def find():
        items = box.api.get("/v1/voicemails?limit=50")["items"]
        return next((item for item in items if item["call_id"] == call_id and item["stored"]), None)

    return await eventually(lambda: asyncio.to_thread(find), limit, "the message is stored")


def wav_of(box, message):
    answer = box.api.raw("GET", f"/v1/voicemails/{message['id']}/audio?format=wav")
    assert answer.status_code == 200, answer.text
    return read_wav(answer.content)


def assert_is_the_message(samples, rate):
    found = runs(samples, rate, TONES)
    assert [run.hz for run in found] == [hz for hz, _ in MESSAGE], found
    for run, (_, seconds) in zip(found, MESSAGE):
        assert abs(run.length - seconds) <= 0.2, found
        assert abs(run.level - 20 * np.log10(LEVEL / np.sqrt(2) / 32768)) < 3, found
    whole = found[-1].start + found[-1].length - found[0].start
    assert abs(whole - sum(seconds for _, seconds in MESSAGE)) <= 0.2, found


async def test_a_message_is_stored_as_it_was_spoken(box):
    number, _ = await asyncio.to_thread(box.number, TO_VOICEMAIL)
    await leave_message(box, number)
    call = await box.ended_call(number)
    assert call["end_reason"] == "voicemail"
    message = await stored_message(box, call["id"])
    assert message["caller"] == "+31612345678"
    samples, rate = await asyncio.to_thread(wav_of, box, message)
    assert_is_the_message(samples, rate)
    assert abs(message["duration_s"] - len(samples) / rate) <= 0.2


async def test_a_recording_is_served_in_ranges(box):
    number, _ = await asyncio.to_thread(box.number, TO_VOICEMAIL)
    await leave_message(box, number)
    message = await stored_message(box, (await box.ended_call(number))["id"])
    path = f"/v1/voicemails/{message['id']}/audio"
    whole = await asyncio.to_thread(box.api.raw, "GET", path)
    assert whole.status_code == 200 and whole.content[:4] == b"OggS"
    assert whole.headers["accept-ranges"] == "bytes"
    part = await asyncio.to_thread(box.api.raw, "GET", path, headers={"Range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == whole.content[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    beyond = await asyncio.to_thread(box.api.raw, "GET", path, headers={"Range": f"bytes={len(whole.content)}-"})
    assert beyond.status_code == 416


async def test_hash_ends_the_recording(box):
    number, _ = await asyncio.to_thread(box.number, TO_VOICEMAIL)
    async with Phone() as phone:
        call = await phone.call(number, box.sip)
        await after_the_beep(call)
        await call.media.play(spoken())
        await call.press("#")
        await asyncio.wait_for(call.ended.wait(), 20)
    message = await stored_message(box, (await box.ended_call(number))["id"])
    assert message["ended_by"] == "digit"


async def test_a_message_survives_a_kill_of_the_voice_worker(own_box):
    box = await asyncio.to_thread(own_box)
    number, _ = await asyncio.to_thread(box.number, TO_VOICEMAIL)
    async with Phone() as phone:
        call = await phone.call(number, box.sip)
        await after_the_beep(call)
        await call.media.play(spoken())
        # More than what may still be in memory, so that the message itself is on disk.
        await call.media.play([0] * 24000)
        await asyncio.to_thread(box.kill, "voice-worker")
        await eventually(lambda: call.ended.is_set() or call.media.sent > 0)
    record = (await asyncio.to_thread(box.calls, number))[0]
    message = await stored_message(box, record["id"], 60)
    assert message["ended_by"] == "recovered"
    samples, rate = await asyncio.to_thread(wav_of, box, message)
    assert_is_the_message(samples, rate)


async def test_a_message_left_while_the_object_store_is_away_comes_later(own_box):
    box = await asyncio.to_thread(own_box)
    number, _ = await asyncio.to_thread(box.number, TO_VOICEMAIL)
    await asyncio.to_thread(box.hold, "minio")
    await leave_message(box, number)
    call = await box.ended_call(number)
    assert call["end_reason"] == "voicemail"
    await asyncio.to_thread(box.release, "minio")
    message = await stored_message(box, call["id"], 90)
    samples, rate = await asyncio.to_thread(wav_of, box, message)
    assert_is_the_message(samples, rate)
