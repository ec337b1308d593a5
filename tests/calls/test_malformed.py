"""Does the gateway stay calm when somebody sends nonsense?  A refusal or silence, and the next caller is served."""

import pytest
from phone import Phone

GOOD = (
    "INVITE sip:+31201234567@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{n};rport\r\nMax-Forwards: 70\r\n"
    "From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:+31201234567@127.0.0.1>\r\nCall-ID: bad-{n}\r\nCSeq: 1 INVITE\r\n"
    "Contact: <sip:a@{me}>\r\nContent-Length: 0\r\n\r\n"
)


def without(name):
    return "".join(line + "\r\n" for line in GOOD.split("\r\n")[:-2] if not line.startswith(name + ":")) + "\r\n"


BAD = {
    "no Via": without("Via"),
    "no From": without("From"),
    "no To": without("To"),
    "no Call-ID": without("Call-ID"),
    "no CSeq": without("CSeq"),
    "CSeq of another method": GOOD.replace("1 INVITE", "1 BYE"),
    "CSeq beyond 32 bits": GOOD.replace("1 INVITE", "36893488147419103232 INVITE"),
    "CSeq without a number": GOOD.replace("1 INVITE", "INVITE"),
    "another SIP version": GOOD.replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"),
    "no version": GOOD.replace(" SIP/2.0\r\nVia", "\r\nVia"),
    "no Request-URI": GOOD.replace("sip:+31201234567@127.0.0.1 SIP/2.0\r\nVia", "SIP/2.0\r\nVia"),
    "an unknown scheme": GOOD.replace("INVITE sip:", "INVITE nobodyKnowsThisScheme:"),
    "a URI in angle brackets": GOOD.replace("INVITE sip:+31201234567@127.0.0.1", "INVITE <sip:+31201234567@127.0.0.1>"),
    "negative Content-Length": GOOD.replace("Content-Length: 0", "Content-Length: -999"),
    "Content-Length beyond the datagram": GOOD.replace("Content-Length: 0", "Content-Length: 9999"),
    "negative Max-Forwards": GOOD.replace("Max-Forwards: 70", "Max-Forwards: -5"),
    "an unclosed quote": GOOD.replace("From: <sip:a@127.0.0.1>", 'From: "Anna <sip:a@127.0.0.1>'),
    "a response nobody asked for": "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKx{n}\r\nFrom: <sip:a@b>;tag=1\r\n"
                                   "To: <sip:b@c>;tag=2\r\nCall-ID: r-{n}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
    "a broken session description": GOOD.replace("Content-Length: 0\r\n\r\n",
                                                 "Content-Type: application/sdp\r\nContent-Length: 22\r\n\r\nv=0\r\nm=audio -1 RTP/X \r\n"),
    "no SIP at all": "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "zeros": "\0" * 600,
    "bytes that are no text": "\xff\xfe\x80" * 200,
}


@pytest.mark.parametrize("what", BAD)
async def test_nonsense_is_refused_or_ignored(box, what):
    answers = []
    async with Phone() as phone:
        phone._received = lambda message, peer: answers.append(message)
        text = BAD[what].replace("{me}", f"127.0.0.1:{phone.port}").replace("{n}", str(phone.port))
        phone.udp.sendto(text.encode("latin-1"), box.sip)
        async with Phone() as next_caller:
            assert await next_caller.options(box.sip) == 200
        finals = [answer.status for answer in answers if answer.is_response and answer.status >= 200]
        assert all(400 <= status < 600 for status in finals), finals


async def test_after_all_the_nonsense_the_same_gateway_serves(box):
    before = box.pids()["sip-gateway"]
    async with Phone() as phone:
        for text in BAD.values():
            for cut in range(1, len(text), 97):
                phone.udp.sendto(text[:cut].encode("latin-1"), box.sip)
        assert await phone.options(box.sip) == 200
    assert box.pids()["sip-gateway"] == before
    assert "panicked" not in box.log("sip-gateway")
