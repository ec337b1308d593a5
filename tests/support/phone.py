"""How does a SIP phone behave?  A small one of our own for the tests and for `./box call`.

`Phone` is the socket: it places calls, takes calls, and answers what belongs to no call.
`Call` is one dialog with its audio. Written from RFC 3261, 3264, 3515 and 4733; UDP and TCP.
Standard library only.
"""

import asyncio
import re
from urllib.parse import quote

import digest
from media import LAWS, PCMU, Media, udp
from sipmsg import Message, digest_fields, fresh, param, uri_of

T1 = 0.5
REASONS = {100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted", 401: "Unauthorized", 407: "Proxy Authentication Required",
           481: "Call Does Not Exist", 486: "Busy Here", 487: "Request Terminated", 603: "Decline"}


class Phone(asyncio.DatagramProtocol):
    """One address that speaks SIP.

    `incoming` says what an INVITE gets: "answer", "ring", or a status code. `challenge` is a digest
    challenge's fields plus "user" and "password": an INVITE that does not meet it gets 407.
    `refer` scripts a transfer: the code that REFER gets and the (delay, status line) of each NOTIFY.
    `says` are more headers of its INVITEs and of its 200.
    `attributes` are more lines of its offers, such as "rtcp-mux".
    `link` is the network of its one call's audio (`relay.Link`), `bind` makes its UDP sockets.
    """

    def __init__(self, user="+31612345678", password=None, host="127.0.0.1", transport="udp", laws=("PCMU", "PCMA"), attributes=(),
                 events=True, link=None, bind=udp):
        self.user, self.password, self.host, self.kind = user, password, host, transport
        self.laws, self.events = [LAWS[name] for name in laws], events
        self.attributes, self.link, self.bind = attributes, link, bind
        self.calls, self.requests = {}, []
        self.taken = asyncio.Queue()
        self.incoming, self.challenge, self.says = "answer", None, []
        self.refer = (202, [(0.05, "SIP/2.0 100 Trying"), (0.2, "SIP/2.0 200 OK")])
        self._waiting, self._answered, self._streams, self._tasks = {}, {}, {}, set()

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.udp, _ = await loop.create_datagram_endpoint(lambda: self, sock=self.bind(self.host, 0))
        self.port = self.udp.get_extra_info("sockname")[1]
        return self

    async def move(self, host):
        """To another address, as a phone whose network has changed; its calls have to tell the other side."""
        self.udp.close()
        self.host = host
        await self.__aenter__()
        for call in self.calls.values():
            await call.media.move(host)

    async def __aexit__(self, *_):
        for call in list(self.calls.values()):
            if call.answered and not call.ended.is_set():
                try:
                    await call.hangup()
                except (asyncio.TimeoutError, OSError):
                    pass
            call.close()
        for task in self._tasks:
            task.cancel()
        for _, writer in self._streams.values():
            writer.close()
        self.udp.close()

    @property
    def contact(self):
        return f"<sip:{self.user}@{self.host}:{self.port}{';transport=tcp' if self.kind == 'tcp' else ''}>"

    def spawn(self, work):
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- the wire --------------------------------------------------------------------------------

    def datagram_received(self, data, addr):
        if data.strip():
            self._received(Message.parse(data), addr)

    async def _stream(self, peer):
        if peer not in self._streams:
            self._streams[peer] = await asyncio.open_connection(*peer)
            self.spawn(self._read(peer))
        return self._streams[peer][1]

    async def _read(self, peer):
        reader = self._streams[peer][0]
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.strip():
                    continue
                length = int(Message.parse(head).get("content-length", "0"))
                self._received(Message.parse(head + await reader.readexactly(length)), peer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self._streams.pop(peer, None)

    async def send(self, message, peer):
        if self.kind == "tcp":
            (await self._stream(peer)).write(message.encode())
        elif not self.udp.is_closing():
            self.udp.sendto(message.encode(), peer)

    def _received(self, message, peer):
        if message.is_response:
            queue = self._waiting.get((message.branch, message.method))
            if queue is not None:
                queue.put_nowait(message)
            else:
                self._stray(message, peer)
            return
        again = self._answered.get((message.branch, message.method))
        if again is not None:
            if message.method != "ACK":
                self.spawn(self.send(again, peer))
            return
        self.requests.append(message)
        self.spawn(self._request(message, peer))

    def _stray(self, message, peer):
        """A repeated 200 to our INVITE wants its ACK again."""
        call = self.calls.get(message.get("call-id"))
        if call and message.method == "INVITE" and message.status == 200 and message.cseq in call.acks:
            self.spawn(self.send(call.acks[message.cseq], peer))

    async def transact(self, request, peer, on_provisional=lambda _: None, limit=40.0):
        """Sends a request until something comes back; returns the final response."""
        key = (request.branch, request.method)
        queue = self._waiting[key] = asyncio.Queue()
        again = self.spawn(self._repeat(request, peer))
        try:
            while True:
                answer = await asyncio.wait_for(queue.get(), limit)
                again.cancel()
                if answer.status >= 200:
                    return answer
                on_provisional(answer)
        finally:
            again.cancel()
            del self._waiting[key]

    async def _repeat(self, request, peer):
        wait = T1
        while True:
            await self.send(request, peer)
            if self.kind == "tcp":
                return
            await asyncio.sleep(wait)
            wait = min(2 * wait, 4.0)

    async def reply(self, request, status, peer, tag=None, headers=(), body="", reason=None):
        to = request.get("to")
        if tag and not param(to, "tag"):
            to += f";tag={tag}"
        copied = [(name, value) for name in ("Via", "Record-Route") for value in request.all(name)]
        copied += [("From", request.get("from")), ("To", to), ("Call-ID", request.get("call-id")), ("CSeq", request.get("cseq"))]
        copied += [("Contact", self.contact), *headers]
        message = Message(f"SIP/2.0 {status} {reason or REASONS.get(status, 'Because')}", copied, body)
        if status >= 200:
            self._answered[(request.branch, request.method)] = message
        await self.send(message, peer)
        return message

    # --- requests from outside -------------------------------------------------------------------

    async def _request(self, request, peer):
        call = self.calls.get(request.get("call-id"))
        if request.method == "INVITE" and not param(request.get("to"), "tag"):
            await self._invited(request, peer)
        elif call is not None:
            await call.request(request, peer)
        elif request.method != "ACK":
            await self.reply(request, 200 if request.method == "OPTIONS" else 481, peer, fresh("t"))

    async def _invited(self, request, peer):
        if self.challenge and not self._meets_challenge(request):
            fields = ", ".join(f'{key}="{value}"' for key, value in self.challenge.items() if key not in ("user", "password"))
            await self.reply(request, 407, peer, fresh("t"), [("Proxy-Authenticate", f"Digest {fields}")])
            return
        call = Call(self, peer)
        await call.offered(request)
        self.taken.put_nowait(call)
        if self.incoming == "answer":
            await call.answer()
        elif self.incoming != "ring":
            await call.reject(self.incoming)

    def _meets_challenge(self, request):
        answer = digest_fields(request.get("proxy-authorization") or request.get("authorization"))
        return "response" in answer and digest.fits(
            self.challenge["user"], self.challenge["password"], "INVITE", answer, self.challenge
        )

    # --- what a person does ------------------------------------------------------------------------

    async def dial(self, number, gateway):
        """Starts a call; `await call.final` for how it is answered."""
        call = Call(self, gateway)
        await call.dial(number)
        return call

    async def call(self, number, gateway, limit=30.0):
        """Places a call and waits until it is answered or refused."""
        call = await self.dial(number, gateway)
        await asyncio.wait_for(asyncio.shield(call.final), limit)
        return call

    async def next_call(self, limit=15.0):
        return await asyncio.wait_for(self.taken.get(), limit)

    async def register(self, gateway, expires=120, about=""):
        """Tells a registrar where this phone is (0: that it is gone), with its password if asked; the final answer.
        `about` are parameters of its Contact."""
        uri, call_id = f"sip:{gateway[0]}", fresh("r")

        def request(cseq, headers=()):
            return Message(f"REGISTER {uri} SIP/2.0", [
                ("Via", self.via()), ("Max-Forwards", "70"), ("From", f"<sip:{self.user}@{gateway[0]}>;tag={fresh()}"),
                ("To", f"<sip:{self.user}@{gateway[0]}>"), ("Call-ID", call_id), ("CSeq", f"{cseq} REGISTER"),
                ("Contact", self.contact + about), ("Expires", str(expires)), *headers])

        answer = await self.transact(request(1), gateway)
        if answer.status != 401 or not self.password:
            return answer
        challenge = digest_fields(answer.get("www-authenticate"))
        proof = digest.authorization(self.user, self.password, "REGISTER", uri, challenge)
        return await self.transact(request(2, [("Authorization", proof)]), gateway)

    async def options(self, gateway, limit=5.0):
        host, port = gateway
        request = Message(f"OPTIONS sip:{host}:{port} SIP/2.0", [
            ("Via", self.via()), ("Max-Forwards", "70"), ("From", f"<sip:{self.user}@{self.host}>;tag={fresh()}"),
            ("To", f"<sip:{host}:{port}>"), ("Call-ID", fresh("o")), ("CSeq", "1 OPTIONS"), ("Contact", self.contact)])
        return (await self.transact(request, gateway, limit=limit)).status

    def bye(self):
        """The BYE that came."""
        return next(request for request in self.requests if request.method == "BYE")

    def via(self):
        return f"SIP/2.0/{self.kind.upper()} {self.host}:{self.port};branch={fresh('z9hG4bK')};rport"


class Call:
    """One dialog, from the first INVITE to BYE."""

    def __init__(self, phone, peer):
        self.phone, self.peer = phone, peer
        self.tag, self.cseq, self.acks, self.routes = fresh("p"), 1, {}, []
        self.media = Media(phone.host, phone.laws[0], phone.link, phone.bind)
        self.final = asyncio.get_running_loop().create_future()
        self.ringing, self.ended = asyncio.Event(), asyncio.Event()
        self.provisional, self.refers, self.notified, self.answer_message = [], [], [], None
        self.answered, self.direction, self.version = False, "sendrecv", 1

    def close(self):
        if hasattr(self.media, "transport"):
            self.media.close()
        self.phone.calls.pop(getattr(self, "id", None), None)

    @property
    def status(self):
        return self.final.result().status

    # --- placing a call ----------------------------------------------------------------------------

    async def dial(self, number):
        await self.media.open()
        phone, (host, port) = self.phone, self.peer
        self.id, self.target = f"{fresh()}@{phone.host}", f"sip:{number}@{host}:{port}"
        self.local, self.remote = f"<sip:{phone.user}@{phone.host}:{phone.port}>;tag={self.tag}", f"<{self.target}>"
        phone.calls[self.id] = self
        phone.spawn(self._place())

    async def _place(self):
        try:
            answer = await self._invite()
            challenge = answer.get("www-authenticate") or answer.get("proxy-authenticate")
            if challenge and self.phone.password:
                answer = await self._invite(self._credentials(answer, challenge))
            if answer.status == 200:
                self._established(answer)
            else:
                self.ended.set()
            self.final.set_result(answer)
        except Exception as error:  # whoever waits for the call gets to know
            if not self.final.done():
                self.final.set_exception(error)

    async def _invite(self, headers=()):
        request = self._message("INVITE", [*self.phone.says, *headers], self.offer("sendrecv"))
        self.first = request
        answer = await self.phone.transact(request, self.peer, self._progress)
        await self._ack(request, answer)
        return answer

    def _progress(self, answer):
        self.provisional.append(answer.status)
        if answer.status == 180:
            self.ringing.set()

    def _credentials(self, answer, challenge):
        name = "Proxy-Authorization" if answer.status == 407 else "Authorization"
        value = digest.authorization(self.phone.user, self.phone.password, "INVITE", self.target, digest_fields(challenge))
        return [(name, value)]

    async def _ack(self, invite, answer):
        """To a refusal within the transaction (17.1.1.3), to a 200 as a request of its own (13.2.2.4)."""
        if answer.status >= 300:
            ack = Message(f"ACK {invite.uri} SIP/2.0", [(k, v) for k, v in invite.headers if k not in ("To", "CSeq", "Content-Type")])
            ack.headers += [("To", answer.get("to")), ("CSeq", f"{invite.cseq} ACK")]
        else:
            self.remote, self.target = answer.get("to"), uri_of(answer.get("contact")) or self.target
            self.routes = list(reversed(answer.all("record-route")))
            ack = self._message("ACK", cseq=invite.cseq)
            self.acks[invite.cseq] = ack
        await self.phone.send(ack, self.peer)

    def _established(self, answer):
        self.answered, self.answer_message = True, answer
        self._take(answer.body)

    async def cancel(self):
        request = Message(f"CANCEL {self.first.uri} SIP/2.0", [
            (k, v) for k, v in self.first.headers if k in ("Via", "Max-Forwards", "From", "To", "Call-ID")])
        request.headers.append(("CSeq", f"{self.first.cseq} CANCEL"))
        return (await self.phone.transact(request, self.peer, limit=5.0)).status

    # --- taking a call -----------------------------------------------------------------------------

    async def offered(self, request):
        await self.media.open()
        self.invite, self.id = request, request.get("call-id")
        self.local, self.remote = f"{request.get('to')};tag={self.tag}", request.get("from")
        self.target, self.routes = uri_of(request.get("contact")), request.all("record-route")
        self.caller = uri_of(self.remote).removeprefix("sip:").partition("@")[0]
        self.phone.calls[self.id] = self
        await self.ring(request)

    async def ring(self, request):
        await self.phone.reply(request, 180, self.peer, self.tag)

    async def early(self, rseq=None, tag=None):
        """Sound before the answer: 183 with a description, reliable if it has a number; `tag` is that of another branch."""
        self._take(self.invite.body)
        reliable = [("Require", "100rel"), ("RSeq", str(rseq))] if rseq else []
        await self.phone.reply(
            self.invite, 183, self.peer, tag or self.tag, [("Content-Type", "application/sdp"), *reliable], self.offer("sendrecv"))

    async def answer(self, described=True):
        self._take(self.invite.body)
        headers, body = ([("Content-Type", "application/sdp")], self.offer("sendrecv")) if described else ([], "")
        headers += self.phone.says
        await self.phone.reply(self.invite, 200, self.peer, self.tag, headers, body)
        self.answered = True

    async def reject(self, status):
        await self.phone.reply(self.invite, status, self.peer, self.tag)
        self.ended.set()

    async def request(self, request, peer):
        """A request within the dialog, or a CANCEL of its INVITE."""
        if request.method == "ACK":
            return
        if request.method == "CANCEL":
            await self.phone.reply(request, 200, peer, self.tag)
            await self.reject(487)
        elif request.method == "BYE":
            await self.phone.reply(request, 200, peer)
            self.ended.set()
        elif request.method == "INVITE":
            self._take(request.body)
            back = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(self.direction, self.direction)
            await self.phone.reply(request, 200, peer, None, [("Content-Type", "application/sdp")], self.offer(back))
        elif request.method == "REFER":
            self.refers.append(uri_of(request.get("refer-to")))
            await self._referred(request, peer)
        else:
            if request.method == "NOTIFY":
                self.notified.append((request.get("subscription-state").split(";")[0], request.body.strip()))
            await self.phone.reply(request, 200, peer)

    async def _referred(self, request, peer):
        code, script = self.phone.refer
        await self.phone.reply(request, code, peer)
        if code >= 300:
            return
        for delay, line in script:
            await asyncio.sleep(delay)
            state = "active" if line.split()[1].startswith("1") else "terminated;reason=noresource"
            headers = [("Event", "refer"), ("Subscription-State", state), ("Content-Type", "message/sipfrag;version=2.0")]
            await self.phone.transact(self._message("NOTIFY", headers, line + "\r\n"), self.peer, limit=5.0)

    # --- during a call -----------------------------------------------------------------------------

    async def hangup(self):
        self.ended.set()
        return (await self.phone.transact(self._message("BYE"), self.peer, limit=5.0)).status

    async def reinvite(self, direction):
        """Offers another direction; returns what was answered, as (status, direction)."""
        request = self._message("INVITE", body=self.offer(direction))
        answer = await self.phone.transact(request, self.peer, limit=10.0)
        await self._ack(request, answer)
        if answer.status == 200:
            self._take(answer.body)
        return answer.status, self.direction

    async def refer(self, to, instead_of=None):
        """Asks that `to` takes our place, or whoever another call of ours is with; the status of the answer."""
        replaces = f"?Replaces={quote(instead_of.as_seen_there())}" if instead_of else ""
        uri = f"<sip:{quote(to)}@{self.peer[0]}:{self.peer[1]}{replaces}>"
        request = self._message("REFER", [("Refer-To", uri), ("Referred-By", self.local.split(";tag")[0])])
        return (await self.phone.transact(request, self.peer, limit=10.0)).status

    def as_seen_there(self):
        """A Replaces value (RFC 3891): the tags are those of the one who reads it."""
        return f"{self.id};to-tag={param(self.remote, 'tag')};from-tag={param(self.local, 'tag')}"

    async def press(self, digits):
        await self.media.press(digits)

    async def tell(self, digit, kind="application/dtmf-relay"):
        """A key by SIP INFO; the status of its answer."""
        body = f"Signal={digit}\r\nDuration=160\r\n" if kind.endswith("relay") else digit
        request = self._message("INFO", [("Content-Type", kind)], body)
        return (await self.phone.transact(request, self.peer, limit=5.0)).status

    def _message(self, method, headers=(), body="", cseq=None):
        if cseq is None:
            self.cseq += 1
        own = [("Via", self.phone.via()), *(("Route", route) for route in self.routes), ("Max-Forwards", "70"),
               ("From", self.local), ("To", self.remote), ("Call-ID", self.id), ("CSeq", f"{cseq or self.cseq} {method}"),
               ("Contact", self.phone.contact), ("User-Agent", "scaibox-test-phone"), *headers]
        if body and method == "INVITE":
            own.append(("Content-Type", "application/sdp"))
        return Message(f"{method} {self.target} SIP/2.0", own, body)

    # --- session descriptions ------------------------------------------------------------------------

    def offer(self, direction):
        self.version += 1
        laws, digit = self.phone.laws, self.media.digit_type
        numbers = [law.number for law in laws] + [digit] * self.phone.events
        lines = ["v=0", f"o=- 4711 {self.version} IN IP4 {self.phone.host}", "s=-", f"c=IN IP4 {self.phone.host}", "t=0 0",
                 f"m=audio {self.media.port} RTP/AVP {' '.join(map(str, numbers))}",
                 *(f"a=rtpmap:{law.number} {law.name}/8000" for law in laws),
                 *[f"a=rtpmap:{digit} telephone-event/8000", f"a=fmtp:{digit} 0-15"] * self.phone.events, "a=ptime:20", f"a={direction}",
                 *(f"a={attribute}" for attribute in self.phone.attributes), ""]
        return "\r\n".join(lines)

    def _take(self, sdp):
        """The other side's address, codec and direction."""
        audio = re.search(r"^m=audio (\d+) \S+ ([\d ]+)", sdp, re.M)
        host = re.search(r"^c=IN IP4 (\S+)", sdp, re.M)
        if not audio or not host:
            return
        wanted = [int(number) for number in audio.group(2).split()]
        self.media.law = next((law for number in wanted for law in self.phone.laws if law.number == number), PCMU)
        digits = re.search(r"^a=rtpmap:(\d+) telephone-event/8000", sdp, re.M)
        if digits:
            self.media.digit_type = int(digits.group(1))
        direction = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", sdp, re.M)
        self.direction = direction.group(1) if direction else "sendrecv"
        self.media.reports.muxed = bool(re.search(r"^a=rtcp-mux\s*$", sdp, re.M))
        self.media.sends = self.direction in ("sendrecv", "recvonly")
        self.media.start((host.group(1), int(audio.group(1))))
