#!/usr/bin/env python3
"""Writes the SIPp scenarios of this folder; run it here after a change and commit both."""
import os

HERE = os.path.dirname(os.path.abspath(__file__))

T38 = """m=image {port} udptl t38
a=T38FaxVersion:0
a=T38MaxBitRate:14400
a=T38FaxRateManagement:transferredTCF
a=T38FaxMaxBuffer:1800
a=T38FaxMaxDatagram:400
a=T38FaxUdpEC:t38UDPRedundancy
"""
AUDIO = "m=audio {port} RTP/AVP 8 0\n"


def sdp(*media, version=1):
    head = f"v=0\no=sipp 77 {version} IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\n"
    return head + "".join(media)


def audio(port=6000):
    return AUDIO.format(port=port)


def image(port=6002):
    return T38.format(port=port)


class Scenario:
    """Steps in order; variables are referenced by themselves."""

    def __init__(self, name, title):
        self.name, self.title, self.steps, self.variables, self.cseq = name, title, [], [], 0

    # --- what is received ---

    def variable(self, name=None):
        name = name or f"v{len(self.variables)}"
        self.variables.append(name)
        return name

    def ereg(self, regexp, header=None, into=None, absent=False):
        regexp = regexp.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
        where = f'search_in="hdr" header="{header}:"' if header else 'search_in="body"'
        how = "check_it_inverse" if absent else "check_it"
        return f'<ereg regexp="{regexp}" {where} {how}="true" assign_to="{self.variable(into)}"/>'

    def recv(self, what, *actions, **more):
        kind = "response" if what.isdigit() else "request"
        attributes = "".join(f' {k}="{v}"' for k, v in more.items())
        if not actions:
            self.steps.append(f'<recv {kind}="{what}"{attributes}/>')
            return self
        inner = "\n      ".join(actions)
        self.steps.append(f'<recv {kind}="{what}"{attributes}>\n    <action>\n      {inner}\n    </action>\n  </recv>')
        return self

    def pause(self, ms):
        self.steps.append(f'<pause milliseconds="{ms}"/>')
        return self

    def raw(self, step):
        self.steps.append(step)
        return self

    def send(self, text, body="", repeat=True):
        lines = text.strip("\n").split("\n")
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append("Content-Length: [len]")
        message = "\n".join(lines) + "\n\n" + body
        retrans = ' retrans="500"' if repeat else ""
        self.steps.append(f"<send{retrans}><![CDATA[\n{message}\n]]></send>")
        return self

    def reply(self, status, body="", extra="", tag=False, final=True):
        to = "[last_To:];tag=s[call_number]" if tag else "[last_To:]"
        text = f"""SIP/2.0 {status}
[last_Via:]
[last_From:]
{to}
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:gw@[local_ip]:[local_port]>
{extra}"""
        invite = body or not status.startswith("200")
        return self.send(text, body, repeat=bool(invite and final and not status.startswith("1")))

    # --- SIPp is called ---

    def called(self, *checks, answer=None):
        """Takes the INVITE and keeps what a request of our own needs."""
        self.recv(
            "INVITE",
            self.ereg("sip:[^>]*", "Contact", "target"),
            self.ereg(".*", "From", "caller"),
            self.ereg(".*", "To", "callee"),
            self.ereg("m=audio [1-9][0-9]* RTP/AVP 8 0"),
            *checks,
        )
        if answer:
            self.reply("180 Ringing", tag=True, final=False)
            self.reply("200 OK", answer, tag=True)
            self.recv("ACK")
        return self

    def request(self, method, body="", cseq=None, extra="", branch=None):
        """A request of the called SIPp in its dialog."""
        if cseq is None:
            self.cseq += 1
        number = cseq or self.cseq
        branch = branch or f"z9hG4bK[pid]s{number}{method}"
        text = f"""{method} [$target] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch={branch}
From:[$callee];tag=s[call_number]
To:[$caller]
[last_Call-ID:]
CSeq: {number} {method}
Contact: <sip:gw@[local_ip]:[local_port]>
Max-Forwards: 70
{extra}"""
        return self.send(text, body, repeat=method != "ACK")

    # --- SIPp calls ---

    def call(self, method, body="", cseq=1, extra="", branch=None, in_dialog=True, repeat=True):
        """A request of the calling SIPp."""
        branch = branch or f"z9hG4bK[pid]c{cseq}{method}"
        tag = "[peer_tag_param]" if in_dialog else ""
        text = f"""{method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch={branch}
From: "Fax, a" <sip:+493099@[local_ip]:[local_port]>;tag=[pid]c[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>{tag}
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:gw@[local_ip]:[local_port]>
Max-Forwards: 70
{extra}"""
        return self.send(text, body, repeat=repeat and method != "ACK")

    def calls(self, *checks, offer=None, ack=""):
        """INVITE to ACK."""
        self.call("INVITE", offer if offer is not None else sdp(audio()), in_dialog=False)
        self.recv("100", optional="true").recv("180", optional="true")
        self.recv("200", *checks)
        return self.call("ACK", ack)

    def hangs_up(self, cseq=2):
        return self.call("BYE", cseq=cseq).recv("200")

    def released(self, *checks):
        """We send BYE."""
        return self.recv("BYE", *checks).reply("200 OK")

    def write(self):
        references = ",".join(dict.fromkeys(self.variables))
        steps = "\n  ".join(self.steps)
        last = f'\n  <Reference variables="{references}"/>' if references else ""
        with open(os.path.join(HERE, self.name + ".xml"), "w") as file:
            file.write(
                f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<!-- {self.title} Made by generate.py. -->\n'
                f'<scenario name="{self.name}">\n  {steps}{last}\n</scenario>\n'
            )


def challenge(kind, nonce="47ebe028cda119c35d4877b383027d28da013815"):
    return f'{kind}: Digest realm="sipp", nonce="{nonce}", algorithm=MD5, qop="auth"'


def verified(s, method, header, *more):
    """A request whose credentials SIPp itself checks."""
    s.recv(
        method,
        s.ereg("qop=auth", header),
        s.ereg("nc=00000001", header),
        s.ereg('cnonce="[^"]+"', header),
        f'<verifyauth assign_to="{s.variable("valid")}" username="fax" password="secret"/>',
        *more,
    )
    s.raw('<nop test="valid" next="valid_credentials"/>')
    s.raw('<nop>\n    <action>\n      <error message="wrong credentials"/>\n    </action>\n  </nop>')
    return s.raw('<label id="valid_credentials"/>')


def t38_checks(s):
    return [
        s.ereg("m=image [1-9][0-9]* udptl t38"),
        s.ereg("a=T38FaxVersion:0"),
        s.ereg("a=T38FaxRateManagement:transferredTCF"),
        s.ereg("a=T38FaxUdpEC:t38UDPRedundancy"),
        s.ereg("a=T38FaxMaxDatagram:[1-9][0-9]+"),
        s.ereg("m=audio [1-9]", absent=True),
        s.ereg("T38FaxFillBitRemoval", absent=True),
    ]


def audio_checks(s):
    return [s.ereg("m=audio [1-9][0-9]* RTP/AVP"), s.ereg("m=image [1-9]", absent=True)]


def uas():
    s = Scenario("uas-final", "The called side refuses with the status and header that the test fills in.")
    s.called().reply("180 Ringing", tag=True, final=False)
    s.reply("[status]", extra="[extra]\n", tag=True).recv("ACK").write()

    s = Scenario("uas-auth", "The called side wants credentials, MD5 with qop=auth, which SIPp checks.")
    s.called(s.ereg(".", "Authorization", absent=True))
    s.reply("401 Unauthorized", extra=challenge("WWW-Authenticate") + "\n", tag=True).recv("ACK")
    verified(s, "INVITE", "Authorization")
    s.reply("200 OK", sdp(audio()), tag=True).recv("ACK").pause(300)
    s.request("BYE").recv("200").write()

    s = Scenario("uas-auth-proxy", "A proxy wants credentials; SIPp looks at their form only.")
    s.called(s.ereg(".", "Proxy-Authorization", absent=True))
    s.reply("407 Proxy Authentication Required", extra=challenge("Proxy-Authenticate") + "\n", tag=True).recv("ACK")
    wanted = ('username="fax"', 'realm="sipp"', "qop=auth", "nc=00000001", 'cnonce="[^"]+"', 'response="[0-9a-f]{32}"')
    s.recv("INVITE", *(s.ereg(x, "Proxy-Authorization") for x in wanted))
    s.reply("200 OK", sdp(audio()), tag=True).recv("ACK").pause(300)
    s.request("BYE").recv("200").write()

    s = Scenario("uas-cancelled", "The called side rings until the caller cancels.")
    s.called(s.ereg("[0-9]+ INVITE", "CSeq", "cseq")).reply("180 Ringing", tag=True, final=False)
    s.recv("CANCEL").reply("200 OK")
    s.send(
        """SIP/2.0 487 Request Terminated
[last_Via:]
[last_From:]
To:[$callee];tag=s[call_number]
[last_Call-ID:]
CSeq: [$cseq]""",
    ).recv("ACK").write()

    s = Scenario("uas-early", "Early media, then an answer with the same description; BYE in mid-call.")
    s.called().reply("183 Session Progress", sdp(audio()), tag=True, final=False).pause(300)
    s.reply("200 OK", sdp(audio()), tag=True).recv("ACK").pause(700)
    s.request("BYE", extra="Reason: Q.850;cause=31;text=\"normal, unspecified\"\n").recv("200").write()

    s = Scenario("uas-no-audio", "The answer refuses the audio line.")
    s.called().reply("200 OK", sdp(audio(0)), tag=True).recv("ACK")
    s.released(s.ereg("cause=88", "Reason")).write()

    s = Scenario("uas-switches", "The called side switches to T.38 and hangs up.")
    s.called(answer=sdp(audio())).pause(300)
    s.request("INVITE", sdp(image(), version=2)).recv("100", optional="true").recv("200", *t38_checks(s))
    s.request("ACK", cseq=1).pause(500).request("BYE", extra="Reason: Q.850;cause=16\n").recv("200").write()

    s = Scenario("uas-switches-two-lines", "T.38 beside the audio line, which is put to rest.")
    s.called(answer=sdp(audio())).pause(300)
    s.request("INVITE", sdp(audio(0), image(), version=2)).recv("100", optional="true")
    s.recv("200", s.ereg("m=audio 0 .*m=image [1-9][0-9]* udptl t38"))
    s.request("ACK", cseq=1).pause(300).request("BYE").recv("200").write()

    s = Scenario("uas-refuses", "Our T.38 is refused with the status that the test fills in; the call goes on.")
    s.called(answer=sdp(audio())).recv("INVITE", *t38_checks(s)).reply("[status]").recv("ACK").pause(1500)
    s.request("BYE").recv("200").write()

    s = Scenario("uas-answers-audio", "Our T.38 is answered with audio, against the rules; we agree on audio anew.")
    s.called(answer=sdp(audio())).recv("INVITE", *t38_checks(s)).reply("200 OK", sdp(audio(), version=2))
    s.recv("ACK").recv("INVITE", *audio_checks(s)).reply("200 OK", sdp(audio(), version=3)).recv("ACK").pause(500)
    s.request("BYE").recv("200").write()

    s = Scenario("uas-image-zero", "Our T.38 is answered with port 0; we agree on audio anew.")
    s.called(answer=sdp(audio())).recv("INVITE").reply("200 OK", sdp("m=image 0 udptl t38\n", version=2))
    s.recv("ACK").recv("INVITE", *audio_checks(s)).reply("200 OK", sdp(audio(), version=3)).recv("ACK").pause(500)
    s.request("BYE").recv("200").write()

    s = Scenario("uas-refuses-then-switches", "Our T.38 is refused, then the called side offers its own.")
    s.called(answer=sdp(audio())).recv("INVITE").reply("488 Not Acceptable Here").recv("ACK").pause(1000)
    s.request("INVITE", sdp(image(), version=2)).recv("100", optional="true").recv("200", *t38_checks(s))
    s.request("ACK", cseq=1).pause(300).request("BYE").recv("200").write()

    s = Scenario("uas-491-retried", "491 to our T.38; the retry comes after 2.1 s at the earliest and is taken.")
    s.called(answer=sdp(audio())).recv("INVITE").reply("491 Request Pending").recv("ACK")
    s.raw(f'<recv request="INVITE" timeout="1900" ontimeout="waited"/>')
    s.raw('<nop>\n    <action>\n      <error message="the retry came too early"/>\n    </action>\n  </nop>')
    s.raw('<label id="waited"/>')
    s.recv("INVITE", *t38_checks(s)).reply("200 OK", sdp(image(), version=2)).recv("ACK").pause(300)
    s.request("BYE").recv("200").write()

    s = Scenario("uas-491-own", "491 to our T.38, then the called side's own offer.")
    s.called(answer=sdp(audio())).recv("INVITE").reply("491 Request Pending").recv("ACK").pause(500)
    s.request("INVITE", sdp(image(), version=2)).recv("100", optional="true").recv("200", *t38_checks(s))
    s.request("ACK", cseq=1).pause(4500).request("BYE").recv("200").write()

    s = Scenario("uas-glare", "Both sides offer at the same time: each answers the other with 491.")
    s.called(answer=sdp(audio())).recv("INVITE")
    s.request("INVITE", sdp(image(), version=2)).recv("100", optional="true").recv("491")
    s.request("ACK", cseq=1)
    # The answer to the INVITE of before, from what was kept of it.
    position = next(i for i, x in enumerate(s.steps) if x == '<recv request="INVITE"/>')
    s.steps[position] = (
        '<recv request="INVITE">\n    <action>\n      '
        + s.ereg(".*", "Via", "via")
        + "\n      "
        + s.ereg(".*", "CSeq", "cseq")
        + "\n    </action>\n  </recv>"
    )
    s.send(
        """SIP/2.0 491 Request Pending
Via:[$via]
From:[$caller]
To:[$callee];tag=s[call_number]
[last_Call-ID:]
CSeq:[$cseq]""",
    ).recv("ACK").pause(600)
    s.request("INVITE", sdp(image(), version=2)).recv("100", optional="true").recv("200", *t38_checks(s))
    s.request("ACK", cseq=2).pause(300).request("BYE").recv("200").write()

    s = Scenario("uas-silent", "Our T.38 is never answered; the call goes on.")
    s.called(answer=sdp(audio())).recv("INVITE").pause(4000).request("BYE").recv("200").write()

    s = Scenario("uas-register", "A registrar: 401, credentials checked, and taken back at the end.")
    s.recv("REGISTER", s.ereg(".", "Authorization", absent=True), s.ereg("sip:fax@", "To"))
    s.reply("401 Unauthorized", extra=challenge("WWW-Authenticate") + "\n", tag=True, final=False)
    verified(s, "REGISTER", "Authorization")
    s.send("SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:];tag=r\n[last_Call-ID:]\n[last_CSeq:]\n[last_Contact:];expires=60", repeat=False)
    s.recv("REGISTER", s.ereg("(expires=0|^ *0)", "Expires"))
    s.send("SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:];tag=r\n[last_Call-ID:]\n[last_CSeq:]", repeat=False)
    s.write()

    s = Scenario("uas-register-423", "A registrar that wants longer intervals.")
    s.recv("REGISTER", s.ereg("^ *60", "Expires"))
    s.reply("423 Interval Too Brief", extra="Min-Expires: 600\n", tag=True, final=False)
    s.recv("REGISTER", s.ereg("^ *600", "Expires"))
    s.send("SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:];tag=r\n[last_Call-ID:]\n[last_CSeq:]\n[last_Contact:];expires=600", repeat=False)
    s.recv("REGISTER", s.ereg("^ *0", "Expires"))
    s.send("SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:];tag=r\n[last_Call-ID:]\n[last_CSeq:]", repeat=False)
    s.write()


def uac():
    s = Scenario("uac-takes", "The caller takes our T.38 and hangs up.")
    s.calls(s.ereg("m=audio [1-9][0-9]* RTP/AVP 8")).recv("INVITE", *t38_checks(s))
    s.reply("200 OK", sdp(image(), version=2)).recv("ACK").pause(500).hangs_up().write()

    s = Scenario("uac-takes-silently", "The caller takes our T.38 and then sends nothing: we go back to audio.")
    s.calls().recv("INVITE").reply("200 OK", sdp(image(), version=2)).recv("ACK").recv("INVITE", *audio_checks(s))
    s.reply("200 OK", sdp(audio(), version=3)).recv("ACK").pause(500).hangs_up().write()

    s = Scenario("uac-keeps-silent", "The caller takes our T.38, sends nothing, and refuses audio.")
    s.calls().recv("INVITE").reply("200 OK", sdp(image(), version=2)).recv("ACK").recv("INVITE", *audio_checks(s))
    s.reply("488 Not Acceptable Here").recv("ACK").released().write()

    s = Scenario("uac-refuses", "The caller refuses our T.38 with the status that the test fills in; the call goes on.")
    s.calls().recv("INVITE", *t38_checks(s)).reply("[status]").recv("ACK").pause(1500).hangs_up().write()

    s = Scenario("uac-491", "491 to our T.38; the retry comes within 2 s and is taken.")
    s.calls().recv("INVITE").reply("491 Request Pending").recv("ACK").recv("INVITE", timeout="2600")
    s.reply("200 OK", sdp(image(), version=2)).recv("ACK").pause(300).hangs_up().write()

    s = Scenario("uac-silent", "Our T.38 is never answered; the call goes on.")
    s.calls().recv("INVITE").pause(4000).hangs_up().write()

    s = Scenario("uac-switches", "The caller switches to T.38 itself.")
    s.calls().pause(200).call("INVITE", sdp(image(), version=2), cseq=2).recv("100", optional="true")
    s.recv("200", *t38_checks(s)).call("ACK", cseq=2).pause(500).hangs_up(3).write()

    s = Scenario("uac-audio-image", "The first INVITE has audio and image lines: the fax begins in audio.")
    s.calls(
        s.ereg("m=audio [1-9][0-9]* RTP/AVP 8.*m=image 0 udptl t38"),
        offer=sdp(audio(), image()),
    )
    s.pause(300).hangs_up().write()

    s = Scenario("uac-image", "The first INVITE has an image line alone.")
    s.calls(*t38_checks(s), offer=sdp(image())).pause(300).hangs_up().write()

    s = Scenario("uac-late-offer", "INVITE without a description: our offer in the 200, the answer in the ACK.")
    s.calls(s.ereg("m=audio [1-9][0-9]* RTP/AVP 8 0"), offer="", ack=sdp(audio())).pause(700).hangs_up().write()

    s = Scenario("uac-late-offer-no-answer", "INVITE without a description, and an ACK without an answer.")
    s.calls(s.ereg("m=audio [1-9][0-9]*"), offer="").released(s.ereg("cause=88", "Reason")).write()

    s = Scenario("uac-cancels", "The caller gives up before the answer.")
    s.call("INVITE", sdp(audio()), in_dialog=False, branch="z9hG4bK[pid]cancel")
    s.recv("100").pause(400)
    s.call("CANCEL", in_dialog=False, branch="z9hG4bK[pid]cancel").recv("200").recv("487")
    s.call("ACK", branch="z9hG4bK[pid]cancel").write()

    s = Scenario("uac-repeats", "The INVITE comes three times.")
    again = dict(body=sdp(audio()), in_dialog=False, repeat=False, branch="z9hG4bK[pid]again")
    s.call("INVITE", **again).recv("100").call("INVITE", **again).call("INVITE", **again)
    s.recv("100", optional="true").recv("200").call("ACK").pause(300).hangs_up().write()

    s = Scenario("uac-refreshes", "A session refresh with the same description changes nothing: the o= line stays.")
    s.calls(s.ereg("o=[^ ]* [0-9]* [0-9]*", into="before")).pause(200)
    s.call("INVITE", sdp(audio()), cseq=2).recv("100", optional="true")
    s.recv(
        "200",
        s.ereg("o=[^ ]* [0-9]* [0-9]*", into="after"),
        f'<strcmp assign_to="{s.variable("differs")}" variable="before" variable2="after"/>',
        f'<test assign_to="{s.variable("same")}" variable="differs" compare="equal" value="0"/>',
    )
    s.call("ACK", cseq=2)
    s.raw('<nop test="same" next="unchanged"/>')
    s.raw('<nop>\n    <action>\n      <error message="the o= line was changed"/>\n    </action>\n  </nop>')
    s.raw('<label id="unchanged"/>')
    s.pause(200).hangs_up(3).write()

    s = Scenario("uac-refreshes-t38", "A session refresh in mid-T.38 changes nothing; then back to audio.")
    s.calls().pause(200).call("INVITE", sdp(image(), version=2), cseq=2).recv("100", optional="true")
    s.recv("200", s.ereg("o=[^ ]* [0-9]* [0-9]*", into="before")).call("ACK", cseq=2).pause(200)
    s.call("INVITE", sdp(image(), version=2), cseq=3).recv("100", optional="true")
    s.recv(
        "200",
        s.ereg("o=[^ ]* [0-9]* [0-9]*", into="after"),
        f'<strcmp assign_to="{s.variable("differs")}" variable="before" variable2="after"/>',
        f'<test assign_to="{s.variable("same")}" variable="differs" compare="equal" value="0"/>',
    )
    s.call("ACK", cseq=3)
    s.raw('<nop test="same" next="unchanged"/>')
    s.raw('<nop>\n    <action>\n      <error message="the o= line was changed"/>\n    </action>\n  </nop>')
    s.raw('<label id="unchanged"/>')
    # Back to audio before a page has begun.
    s.call("INVITE", sdp(audio(), version=3), cseq=4).recv("100", optional="true")
    s.recv("200", *audio_checks(s)).call("ACK", cseq=4).pause(200).hangs_up(5).write()

    s = Scenario("uac-stranger", "A call from an address that is no trunk's.")
    s.call("INVITE", sdp(audio()), in_dialog=False, branch="z9hG4bK[pid]refused")
    s.recv("100", optional="true").recv("403").call("ACK", branch="z9hG4bK[pid]refused").write()

    s = Scenario("uac-odd-requests", "OPTIONS is answered with Allow, an unknown method with 501.")
    s.call("OPTIONS", in_dialog=False).recv("200", s.ereg("INVITE.*BYE", "Allow"), s.ereg("application/sdp", "Accept"))
    s.call("PRANCE", cseq=2, in_dialog=False, branch="z9hG4bK[pid]odd2").recv("501")
    s.call("SUBSCRIBE", cseq=3, in_dialog=False, branch="z9hG4bK[pid]odd3", extra="Event: dialog\n").recv("405", s.ereg("INVITE", "Allow"))
    s.call("BYE", cseq=4, in_dialog=False, branch="z9hG4bK[pid]odd4").recv("481").write()

    s = Scenario("uac-no-media", "Nothing in the offer that we know: 488.")
    s.call("INVITE", sdp("m=video 7000 RTP/AVP 96\na=rtpmap:96 H264/90000\n"), in_dialog=False, branch="z9hG4bK[pid]video")
    s.recv("100", optional="true").recv("488").call("ACK", branch="z9hG4bK[pid]video").write()


def onward():
    s = Scenario("onward-uac", "The caller of a call that is passed on: voice codecs, early media, BYE.")
    opus = "m=audio 6000 RTP/AVP 96 8 101\na=rtpmap:96 opus/48000/2\na=rtpmap:101 telephone-event/8000\n"
    identity = (
        "P-Asserted-Identity: <sip:+493099@a.example>\n"
        "Diversion: <sip:+493077@a.example>;reason=unconditional\n"
    )
    s.call("INVITE", sdp(opus), extra=identity, in_dialog=False)
    s.recv("100", optional="true").recv("183", s.ereg("m=audio [1-9][0-9]* RTP/AVP 96 101"))
    s.recv("200", s.ereg("m=audio [1-9][0-9]* RTP/AVP 96 101"), s.ereg("a=rtpmap:96 opus/48000/2"))
    s.call("ACK").pause(300).call("BYE", cseq=2, extra="Reason: Q.850;cause=31\n").recv("200").write()

    s = Scenario("onward-uas", "The called side of a call that is passed on.")
    s.recv(
        "INVITE",
        s.ereg("a=rtpmap:96 opus/48000/2"),
        s.ereg("m=audio [1-9][0-9]* RTP/AVP 96 8 101"),
        s.ereg("m=audio 6000", absent=True),
        s.ereg("69", "Max-Forwards"),
        s.ereg("<sip:.493099@", "P-Asserted-Identity"),
        s.ereg("<sip:.493077@a.example>;reason=unconditional", "Diversion"),
        s.ereg("<sip:.4930456@", "To"),
    )
    answer = sdp("m=audio 6004 RTP/AVP 96 101\na=rtpmap:96 opus/48000/2\na=rtpmap:101 telephone-event/8000\n")
    s.reply("183 Session Progress", answer, tag=True, final=False).pause(200)
    s.reply("200 OK", answer, tag=True).recv("ACK")
    s.released(s.ereg("cause=31", "Reason")).write()

    s = Scenario("onward-uac-t38", "The caller of a call that is passed on takes T.38; the called side's cause comes with BYE.")
    s.calls().recv("INVITE", *t38_checks(s)).reply("200 OK", sdp(image(), version=2)).recv("ACK")
    s.released(s.ereg("cause=16", "Reason")).write()

    s = Scenario("onward-uac-t38-refuses", "The caller of a call that is passed on refuses T.38, and is left in audio.")
    s.calls().recv("INVITE", *t38_checks(s)).reply("488 Not Acceptable Here").recv("ACK")
    s.released(s.ereg("cause=16", "Reason")).write()

    s = Scenario("onward-uac-refused", "The caller of a call that is passed on is refused with the status that the test fills in.")
    s.call("INVITE", sdp(audio()), in_dialog=False, branch="z9hG4bK[pid]refused")
    s.recv("100", optional="true").recv("180", optional="true")
    s.raw('<recv response="[status]"/>').call("ACK", branch="z9hG4bK[pid]refused").write()

    s = Scenario("onward-uac-cancels", "The caller of a call that is passed on gives up while it rings.")
    s.call("INVITE", sdp(audio()), in_dialog=False, branch="z9hG4bK[pid]cancel")
    s.recv("100", optional="true").recv("180").pause(300)
    s.call("CANCEL", in_dialog=False, branch="z9hG4bK[pid]cancel").recv("200").recv("487")
    s.call("ACK", branch="z9hG4bK[pid]cancel").write()

    s = Scenario("onward-uac-answered", "The caller of a call that is passed on is answered, and cleared with the called side's cause.")
    s.call("INVITE", sdp(audio()), in_dialog=False)
    s.recv("100", optional="true").recv("180", optional="true").recv("183", optional="true").recv("200").call("ACK")
    s.released(s.ereg("cause=31", "Reason")).write()

    s = Scenario("uac-silent-call", "A call of a second and a half.")
    s.calls(s.ereg("m=audio [1-9][0-9]* RTP/AVP [08]")).pause(1500).hangs_up().write()

    s = Scenario("onward-uas-g711", "The called side of a call of a telephone that is passed on hangs up.")
    s.recv(
        "INVITE",
        s.ereg("sip:[^>]*", "Contact", "target"),
        s.ereg(".*", "From", "caller"),
        s.ereg(".*", "To", "callee"),
        s.ereg("<sip:.493011@", "From"),
        s.ereg("RTP/AVP [^\\n]*8"),
    )
    s.reply("200 OK", sdp("m=audio 6000 RTP/AVP 8\n"), tag=True).recv("ACK").pause(700)
    s.request("BYE").recv("200").write()

    s = Scenario("onward-uac-held", "The caller of a call that is passed on puts the other on hold.")
    s.calls().pause(200).call("INVITE", sdp(audio(), "a=sendonly\n", version=2), cseq=2)
    s.recv("100", optional="true").recv("200", s.ereg("a=recvonly")).call("ACK", cseq=2).pause(200)
    s.hangs_up(3).write()

    s = Scenario("onward-uas-held", "The called side of a call that is passed on is put on hold.")
    s.called(answer=sdp(audio())).recv("INVITE", s.ereg("a=sendonly"))
    s.reply("200 OK", sdp(audio(), "a=recvonly\n", version=2)).recv("ACK").released().write()


uas()
uac()
onward()
