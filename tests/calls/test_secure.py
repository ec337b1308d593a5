"""Do signalling and audio stay between the phone and the box?  The phone is baresip, by TLS and with SRTP."""

import asyncio

import pytest
from baresip import Baresip
from boxkit import eventually
from phone import Phone
from test_voicemail import stored_message, wav_of
from tones import read_wav, runs, sine

REQUIRE = {"media_encryption": "require"}


def by_tls(box, number):
    return f"sip:{number}@{box.sip[0]}:{box.facts['sip']['tls_port']};transport=tls"


def verified(box):
    """baresip checks our certificate against the box's own authority."""
    return f"sip_cafile {box.facts['sip']['trust']}\nsip_verify_server yes\n"


def seconds_of(tone, wav):
    samples, rate = wav
    return sum(run.length for run in runs(samples, rate, [tone]))


async def test_a_message_comes_by_tls_and_srtp_as_it_was_spoken(box, tmp_path):
    number, _ = await asyncio.to_thread(box.number, {"action_type": "voicemail"}, **REQUIRE)
    phone = Baresip(tmp_path, sine(440, 60), by_tls(box, number), ";mediaenc=srtp-mand", verified(box), ["srtp"])
    with phone:
        await eventually(lambda: asyncio.to_thread(box.calls, number, state="active"), 30, phone.said)
        await eventually(lambda: (file := phone.heard()) and file.stat().st_size > 8000 * 2 * 8, 40, phone.said)
    call = await box.ended_call(number, 40)
    stats = call["legs"][0]["stats"]
    assert stats["rtt_ms"] is not None and stats["far_end"] is not None, f"encrypted reports went both ways: {stats}"
    message = await stored_message(box, call["id"])
    assert seconds_of(440, await asyncio.to_thread(wav_of, box, message)) > 2
    assert max(abs(int(sample)) for sample in read_wav(phone.heard().read_bytes())[0]) > 1000, "the greeting was heard"


async def test_a_caller_without_keys_is_refused_where_the_trunk_requires_encryption(box):
    number, _ = await asyncio.to_thread(box.number, {"action_type": "voicemail"}, **REQUIRE)
    async with Phone() as phone:
        assert (await phone.call(number, box.sip)).status == 488


@pytest.mark.parametrize("way, module", [("srtp-mand", "srtp"), ("dtls_srtp", "dtls_srtp")])
async def test_a_caller_with_keys_only_is_refused_where_the_trunk_has_none(box, tmp_path, way, module):
    number, _ = await asyncio.to_thread(box.number, {"action_type": "voicemail"})
    phone = Baresip(tmp_path, sine(440, 5), by_tls(box, number), f";mediaenc={way}", verified(box), [module])
    with phone:
        await eventually(lambda: "488" in phone.said(), 30, phone.said)
