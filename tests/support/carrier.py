"""How does a carrier answer?  An echo test behind SIP over UDP, TCP or TLS, sound but for one defect that can be named.

`Carrier("no_refer")` is a `Phone` that takes every call, sends back what it hears, and repeats its 200 until the ACK
is there (RFC 3261 section 13.3.1.4). DEFECTS says what it can do wrong.
"""

import asyncio
import ssl
from pathlib import Path

import digest
from media import FRAME, Media
from phone import T1, Call, Phone
from sipmsg import digest_fields, fresh, param

DEFECTS = {
    None: "nothing",
    "no_refer": "REFER is refused, and Allow says so",
    "no_refer_unsaid": "REFER is refused, and there is no Allow",
    "private_sdp": "its session description names an address of a private network",
    "hold_ignored": "sendonly is answered by sendrecv",
    "only_183": "183 and never 180",
    "challenge_loop": "407 to every INVITE and REGISTER, with a new nonce each time",
    "ptime_30": "frames of 30 ms",
    "no_telephone_event": "no telephone-event in its answer",
    "ack_lost": "the first ACK does not arrive",
    "forked": "two answers, with different To tags",
    "wrong_contact": "its Contact names a port where nobody listens",
    "tcp_only": "nobody listens on UDP",
}
METHODS = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, REFER, NOTIFY"
EXPIRED = Path(__file__).parent / "expired.pem"


class Echo(Media):
    """Sends back what it hears, in frames of its own length."""

    def __init__(self, host, law, frame=FRAME):
        super().__init__(host, law)
        self.frame, self.left = frame, b""

    async def _run(self):
        """No clock: the other side's packets set the pace."""

    def datagram_received(self, data, addr):
        super().datagram_received(data, addr)
        if len(data) < 12 or not self.sends:
            return
        kind, payload = data[1] & 0x7F, data[12:]
        if kind == self.digit_type:
            return self._packet(kind, payload, int.from_bytes(data[4:8], "big"), bool(data[1] & 0x80))
        self.left += payload
        while len(self.left) >= self.frame:
            self._packet(self.law.number, self.left[: self.frame], self._stamp)
            self._stamp += self.frame
            self.left = self.left[self.frame :]


class Carrier(Phone):
    """`credentials` (user, password): who does not know them gets 401 and 407. `tls` is a (certificate, key) of ours."""

    def __init__(self, defect=None, transport="udp", credentials=None, tls=None):
        super().__init__(user="carrier", transport=transport)
        assert defect in DEFECTS, defect
        self.defect, self.known, self.tls, self.server = defect, credentials, tls, None
        self.asked, self.connections = {}, 0

    async def __aenter__(self):
        if self.kind == "udp":
            return await super().__aenter__()
        context = None
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
        self.server = await asyncio.start_server(self._accepted, self.host, 0, ssl=context)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *all):
        if self.server is None:
            return await super().__aexit__(*all)
        self.server.close()
        for call in list(self.calls.values()):
            call.close()
        for task in self._tasks:
            task.cancel()
        for _, writer in self._streams.values():
            writer.close()

    async def _accepted(self, reader, writer):
        self.connections += 1
        peer = writer.get_extra_info("peername")[:2]
        self._streams[peer] = (reader, writer)
        await self._read(peer)

    async def send(self, message, peer):
        if self.server is None:
            return await super().send(message, peer)
        if peer in self._streams:  # else the connection is gone, and so is whoever waited
            self._streams[peer][1].write(message.encode())

    @property
    def contact(self):
        suffix = "" if self.kind == "udp" else f";transport={self.kind}"
        port = 9 if self.defect == "wrong_contact" else self.port
        return f"<sip:{self.user}@{self.host}:{port}{suffix}>"

    @property
    def allow(self):
        if self.defect == "no_refer_unsaid":
            return []
        return [("Allow", METHODS.replace(", REFER", "") if self.defect == "no_refer" else METHODS)]

    async def _request(self, request, peer):
        outside = not param(request.get("to"), "tag")
        if request.method == "OPTIONS" and outside:
            await self.reply(request, 200, peer, fresh("t"), self.allow)
        elif request.method == "REGISTER":
            code = 200 if self._knows(request) else 401
            await self.reply(request, code, peer, fresh("t"), self._challenge(code))
        else:
            await super()._request(request, peer)

    async def _invited(self, request, peer):
        if not self._knows(request):
            return await self.reply(request, 407, peer, fresh("t"), self._challenge(407))
        call = Answered(self, peer)
        await call.offered(request)
        self.taken.put_nowait(call)
        await call.answer()

    def _challenge(self, code):
        if code < 300:
            return []
        self.asked = {"realm": "carrier", "nonce": fresh("n"), "qop": "auth"}
        fields = ", ".join(f'{name}="{value}"' for name, value in self.asked.items())
        return [("WWW-Authenticate" if code == 401 else "Proxy-Authenticate", f"Digest {fields}")]

    def _knows(self, request):
        if self.defect == "challenge_loop":
            return False
        if not self.known:
            return True
        answer = digest_fields(request.get("proxy-authorization") or request.get("authorization"))
        return self.asked and "response" in answer and digest.fits(*self.known, request.method, answer, self.asked)


class Answered(Call):
    """A call that the carrier takes."""

    def __init__(self, carrier, peer):
        super().__init__(carrier, peer)
        self.media = Echo(carrier.host, carrier.laws[0], 240 if carrier.defect == "ptime_30" else FRAME)
        self.acked, self.other_tag, self.other = asyncio.Event(), fresh("q"), []
        self.acks_seen = 0

    @property
    def defect(self):
        return self.phone.defect

    async def ring(self, request):
        code = 183 if self.defect == "only_183" else 180
        await self.phone.reply(request, code, self.peer, self.tag)

    async def answer(self):
        self._take(self.invite.body)
        self.answered = True
        self.phone.spawn(self._repeat(self.tag, self.offer("sendrecv"), self.acked.is_set))
        if self.defect == "forked":
            self.phone.spawn(self._repeat(self.other_tag, self.offer("sendrecv"), lambda: "ACK" in self.other))

    async def _repeat(self, tag, body, done):
        headers, wait = [("Content-Type", "application/sdp"), *self.phone.allow], T1
        while not done() and not self.ended.is_set():
            await self.phone.reply(self.invite, 200, self.peer, tag, headers, body)
            await asyncio.sleep(wait)
            wait = min(2 * wait, 4.0)

    async def request(self, request, peer):
        if param(request.get("to"), "tag") == self.other_tag:
            self.other.append(request.method)
            if request.method != "ACK":
                await self.phone.reply(request, 200, peer)
        elif request.method == "ACK" and request.cseq == self.invite.cseq:
            self.acks_seen += 1
            if self.defect != "ack_lost" or self.acks_seen > 1:
                self.acked.set()
        elif request.method == "REFER" and self.defect in ("no_refer", "no_refer_unsaid"):
            self.refers.append(request.get("refer-to"))
            await self.phone.reply(request, 405, peer, reason="Method Not Allowed")
        else:
            await super().request(request, peer)

    def offer(self, direction):
        """What is said in every answer, first or later."""
        text = super().offer("sendrecv" if self.defect == "hold_ignored" else direction)
        if self.defect == "private_sdp":
            text = text.replace(f"c=IN IP4 {self.phone.host}", "c=IN IP4 10.255.255.1")
        if self.defect == "ptime_30":
            text = text.replace("a=ptime:20", "a=ptime:30")
        if self.defect == "no_telephone_event":
            kind = self.media.digit_type
            lines = [line for line in text.split("\r\n") if not line.startswith((f"a=rtpmap:{kind} ", f"a=fmtp:{kind} "))]
            text = "\r\n".join(line.removesuffix(f" {kind}") if line.startswith("m=") else line for line in lines)
        return text
