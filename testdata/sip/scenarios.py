# Makes the scenarios for SIPp beside it that it names: calls with PRACK, UPDATE, proofs, forks, session timers.
import os
d = os.path.dirname(os.path.abspath(__file__))
SDP = """v=0
o=u 1 {v} IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio {p} RTP/AVP 8
"""
def scenario(name, words, *steps):
    text = f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<!-- {words} Made by scenarios.py. -->\n<scenario name="{name}">\n'
    open(os.path.join(d, name + ".xml"), "w").write(text + "\n".join(steps) + "\n</scenario>\n")
def send(lines, sdp=None, retrans=False):
    body = SDP.format(v=sdp, p=5998 + 2 * sdp) if sdp else ""
    head = list(lines) + (["Content-Type: application/sdp"] if sdp else []) + ["Content-Length: [len]"]
    attribute = ' retrans="500"' if retrans else ""
    return f"  <send{attribute}><![CDATA[\n" + "\n".join(head) + "\n\n" + body + "\n]]></send>"
def recv(kind, value, *actions, optional=False, rrs=False, auth=False):
    extra = (' optional="true"' if optional else "") + (' rrs="true"' if rrs else "") + (' auth="true"' if auth else "")
    if not actions: return f'  <recv {kind}="{value}"{extra}/>'
    return f'  <recv {kind}="{value}"{extra}>\n    <action>\n' + "\n".join("      " + a for a in actions) + "\n    </action>\n  </recv>"
def need(header, regexp, to):
    return f'<ereg regexp="{regexp}" search_in="hdr" header="{header}:" check_it="true" assign_to="{to}"/>'
def lack(header, to):
    return f'<ereg regexp="." search_in="hdr" header="{header}:" check_it_inverse="true" assign_to="{to}"/>'
def use(*names):
    return f'  <Reference variables="{",".join(names)}"/>'
def request(method, n, uri="[next_url]", to="[last_To:]", more=(), sdp=None):
    lines = [f"{method} {uri} SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
             "From: caller <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]", to, "Call-ID: [call_id]",
             f"CSeq: {n} {method}", "Contact: <sip:caller@[local_ip]:[local_port]>", "Max-Forwards: 70", *more]
    return send(lines, sdp, method != "ACK")
FIRST = dict(uri="sip:[service]@[remote_ip]:[remote_port]", to="To: <sip:[service]@[remote_ip]:[remote_port]>")
def answer(line, tag, more=(), sdp=None, via="[last_Via:]", cseq="[last_CSeq:]", retrans=False):
    own = tag and f"[last_To:];tag={tag}" or "[last_To:]"
    lines = [f"SIP/2.0 {line}", via, "[last_From:]", own, "[last_Call-ID:]", cseq, "Contact: <sip:gw@[local_ip]:[local_port]>", *more]
    return send(lines, sdp, retrans)

scenario("uac-prack", "A caller that requires reliable provisional answers, updates the session without SDP and hangs up.",
    request("INVITE", 1, more=["Require: 100rel", "Supported: 100rel, timer", "Session-Expires: 1800"], sdp=1, **FIRST),
    recv("response", 100, optional=True),
    recv("response", 180, need("Require", "100rel", "a"), need("RSeq", "[0-9]+", "rseq"), rrs=True),
    request("PRACK", 2, more=["RAck: [$rseq] 1 INVITE"]),
    # The 200 of the INVITE need not wait for that of PRACK.
    recv("response", 200), recv("response", 200),
    request("ACK", 1),
    request("UPDATE", 3, more=["Supported: timer", "Session-Expires: 1800;refresher=uac"]),
    recv("response", 200, need("Session-Expires", "1800;refresher=uac", "b")),
    request("UPDATE", 4, sdp=2), recv("response", 200, need("Content-Type", "application/sdp", "c")),
    request("BYE", 5), recv("response", 200), use("a", "b", "c", "rseq"))

scenario("uac-prack-never", "A caller that requires reliable provisional answers and gives up without acknowledging one.",
    request("INVITE", 1, more=["Require: 100rel"], sdp=1, **FIRST),
    recv("response", 100, optional=True),
    recv("response", 180), '  <pause milliseconds="1200"/>',
    send(["CANCEL sip:[service]@[remote_ip]:[remote_port] SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-4]",
          "From: caller <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]", "To: <sip:[service]@[remote_ip]:[remote_port]>",
          "Call-ID: [call_id]", "CSeq: 1 CANCEL", "Max-Forwards: 70"], None, True),
    recv("response", 200), recv("response", 487),
    send(["ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-7]",
          "From: caller <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]", "[last_To:]", "Call-ID: [call_id]", "CSeq: 1 ACK", "Max-Forwards: 70"]))

scenario("uas-prack", "A called side that rings reliably with SDP, wants PRACK, answers without SDP, renews the session by UPDATE and hangs up.",
    recv("request", "INVITE", need("Supported", "100rel", "a"), need("Via", ".*", "via"), need("CSeq", ".*", "cseq"),
         need("From", ".*", "caller"), need("To", ".*", "callee"), need("Contact", "sip:[^&gt;]*", "target")),
    answer("183 Session Progress", "s[call_number]", ["Require: 100rel", "RSeq: 4711"], sdp=1),
    recv("request", "PRACK", need("RAck", "4711 [0-9]+ INVITE", "b")),
    answer("200 OK", None),
    send(["SIP/2.0 200 OK", "Via:[$via]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "CSeq:[$cseq]",
          "Contact: <sip:gw@[local_ip]:[local_port]>", "Allow: INVITE, ACK, BYE, CANCEL, UPDATE, PRACK"], None, True),
    recv("request", "ACK"),
    send(["UPDATE [$target] SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]", "From:[$callee];tag=s[call_number]",
          "To:[$caller]", "[last_Call-ID:]", "CSeq: 1 UPDATE", "Contact: <sip:gw@[local_ip]:[local_port]>", "Supported: timer",
          "Session-Expires: 300;refresher=uac", "Max-Forwards: 70"], None, True),
    recv("response", 200, need("Session-Expires", "300;refresher=uac", "c")),
    send(["BYE [$target] SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]", "From:[$callee];tag=s[call_number]",
          "To:[$caller]", "[last_Call-ID:]", "CSeq: 2 BYE", "Max-Forwards: 70", "Reason: Q.850;cause=16"], None, True),
    recv("response", 200), use("a", "b", "c"))

scenario("uas-forks", "Two called sides answer one INVITE: the first is kept, the second gets ACK and BYE.",
    recv("request", "INVITE", need("Via", ".*", "via"), need("CSeq", ".*", "cseq"), need("From", ".*", "caller"), need("To", ".*", "callee"),
         need("Contact", "sip:[^&gt;]*", "target")),
    answer("180 Ringing", "one[call_number]"), answer("180 Ringing", "two[call_number]"),
    answer("200 OK", "one[call_number]", sdp=1),
    recv("request", "ACK", need("To", "tag=one", "a")),
    send(["SIP/2.0 200 OK", "Via:[$via]", "[last_From:]", "To:[$callee];tag=two[call_number]", "[last_Call-ID:]", "CSeq:[$cseq]",
          "Contact: <sip:gw2@[local_ip]:[local_port]>"], 1),
    recv("request", "ACK", need("To", "tag=two", "b")),
    recv("request", "BYE", need("To", "tag=two", "c")),
    answer("200 OK", None),
    send(["BYE [$target] SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]", "From:[$callee];tag=one[call_number]",
          "To:[$caller]", "[last_Call-ID:]", "CSeq: 1 BYE", "Max-Forwards: 70"], None, True),
    recv("response", 200), use("a", "b", "c"))

scenario("uac-proves", "A caller that is challenged with 407 and proves itself.",
    request("INVITE", 1, sdp=1, **FIRST),
    recv("response", 100, optional=True), recv("response", 407, auth=True),
    send(["ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-3]",
          "From: caller <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]", "[last_To:]", "Call-ID: [call_id]", "CSeq: 1 ACK", "Max-Forwards: 70"]),
    request("INVITE", 2, more=["[authentication username=ata password=secret]"], sdp=1, **FIRST),
    recv("response", 100, optional=True), recv("response", 180, optional=True), recv("response", 200, rrs=True),
    request("ACK", 2), request("BYE", 3), recv("response", 200))

scenario("uac-proves-wrongly", "A caller that is challenged and guesses.",
    request("INVITE", 1, sdp=1, **FIRST),
    recv("response", 100, optional=True), recv("response", 407, auth=True),
    send(["ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-3]",
          "From: caller <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]", "[last_To:]", "Call-ID: [call_id]", "CSeq: 1 ACK", "Max-Forwards: 70"]),
    request("INVITE", 2, more=["[authentication username=ata password=guess]"], sdp=1, **FIRST),
    recv("response", 100, optional=True), recv("response", 407),
    send(["ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-3]",
          "From: caller <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]", "[last_To:]", "Call-ID: [call_id]", "CSeq: 2 ACK", "Max-Forwards: 70"]))

scenario("uac-overlaps", "A caller whose re-INVITEs overlap, that asks for what we do not have, and hangs up in mid-offer.",
    request("INVITE", 10, sdp=1, **FIRST),
    recv("response", 100, optional=True), recv("response", 180, optional=True), recv("response", 200, rrs=True),
    request("ACK", 10),
    request("REFER", 11, more=["Refer-To: <sip:x@y>"]), recv("response", 405, need("Allow", "PRACK", "a")),
    request("INFO", 12, more=["Info-Package: x"]), recv("response", 469),
    request("UPDATE", 13, more=["Require: precondition"]), recv("response", 420, need("Unsupported", "precondition", "b")),
    request("INVITE", 14, sdp=2), recv("response", 100),
    request("INVITE", 15, sdp=3), recv("response", 500, need("Retry-After", "[0-9]+", "c")),
    send(["ACK [next_url] SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-2]",
          "From: caller <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]", "[last_To:]", "Call-ID: [call_id]", "CSeq: 15 ACK", "Max-Forwards: 70"]),
    request("BYE", 16), recv("response", 200), recv("response", 487),
    send(["ACK [next_url] SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-8]",
          "From: caller <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]", "[last_To:]", "Call-ID: [call_id]", "CSeq: 14 ACK", "Max-Forwards: 70"]),
    use("a", "b", "c"))
