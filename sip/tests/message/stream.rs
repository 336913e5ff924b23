//! Streams with nonsense in them: the next good message is found, and what is owed an answer gets one (RFC 3261 §18.3).

use bytes::Bytes;
use fax_sip::message::Limits;
use fax_sip::message::stream::{Framer, GIVE_UP, Piece};

use super::corpus::{own, parse, react, torture};

fn options(call_id: &str) -> String {
    format!(
        "OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK{call_id}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

fn pieces(chunks: &[&[u8]]) -> Vec<Piece> {
    let mut framer = Framer::new(Limits::default());
    let mut found = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        while let Some(piece) = framer.next_piece() {
            found.push(piece);
        }
    }
    found
}

/// What is between two good messages, and what is answered to it.
#[test]
fn after_any_nonsense_the_next_message_is_found() {
    let head = |length: &str| options("bad").replace("Content-Length: 0", length);
    let long_line = format!("{}\r\n", "x".repeat(100_000));
    let many = options("bad").replace("Max-Forwards", &format!("{}Max-Forwards", "X: y\r\n".repeat(12_000)));
    let large =
        format!("{}{}", head("Content-Length: 240000"), "INVITE sip:x SIP/2.0\r\n\r\n".repeat(10_000));
    let cases: [(&str, String, Option<u16>); 13] = [
        ("an HTTP request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n".into(), None),
        ("words", "hello\r\nworld\r\n".into(), None),
        ("octets", "\u{1}\u{2}\u{0}\u{ff}\n\u{3}\r\n".into(), None),
        ("a start line without version", "OPTIONS sip:x\r\nVia: y\r\n\r\nv=0\r\n".into(), None),
        ("two lengths", head("l: 5\r\nContent-Length: 6") + "abcdef\r\n", Some(400)),
        ("a negative length", head("Content-Length: -1") + "abc\r\n", Some(400)),
        ("a length without end", head("Content-Length: 99999999999999999999") + "abc\r\n", Some(400)),
        ("a length beyond belief", head("Content-Length: 999999") + "abc\r\n", Some(513)),
        ("a body too large", large, Some(513)),
        ("an endless line", long_line, None),
        ("too many headers", many, Some(513)),
        ("another version", options("bad").replace("x@y SIP/2.0", "x@y SIP/7.0"), Some(505)),
        ("a header without colon", options("bad").replace("Max-Forwards:", "Max-Forwards"), Some(400)),
    ];
    for (name, nonsense, code) in cases {
        let whole = format!("{}{nonsense}{}", options("first"), options("last"));
        for size in [1, 7, 1_000, whole.len()] {
            if size == 1 && whole.len() > 20_000 {
                continue;
            }
            let chunks: Vec<&[u8]> = whole.as_bytes().chunks(size).collect();
            let found = pieces(&chunks);
            let messages: Vec<&Bytes> = found
                .iter()
                .map(|p| match p {
                    Piece::Message(octets) => octets,
                    Piece::Ping | Piece::Lost => panic!("{name}: {p:?}"),
                })
                .collect();
            assert_eq!(messages[0], options("first").as_bytes(), "{name}");
            assert_eq!(*messages.last().unwrap(), options("last").as_bytes(), "{name} by {size}");
            let answers: Vec<u16> = messages[1..messages.len() - 1]
                .iter()
                .flat_map(|m| react(m).0.into_iter().filter_map(|a| a.code()))
                .collect();
            assert_eq!(answers, code.into_iter().collect::<Vec<_>>(), "{name} by {size}");
        }
    }
}

#[test]
fn every_torture_message_leaves_the_stream_alive() {
    for (name, octets) in torture().into_iter().chain(own()) {
        let whole = [&octets[..], b"\r\n", options("last").as_bytes()].concat();
        let found = pieces(&[&whole]);
        // Four messages say that their body is longer than it is; what follows is theirs.
        let longer = parse(&octets).is_err_and(|e| e.phrase.contains("Shorter"));
        let last = Piece::Message(Bytes::from(options("last")));
        assert!(longer || found.last() == Some(&last), "{name}: {found:?}");
    }
}

#[test]
fn keep_alives_are_told_apart_from_messages() {
    let message = Piece::Message(Bytes::from(options("a")));
    let whole = format!("\r\n\r\n{}\r\n\r\n\r\n{}", options("a"), options("a"));
    assert_eq!(pieces(&[whole.as_bytes()]), [Piece::Ping, message.clone(), Piece::Ping, message.clone()]);
    assert_eq!(pieces(&[b"\r\n", b"\r\n"]), [Piece::Ping]);
    assert_eq!(pieces(&[b"\r", b"\n", options("a").as_bytes()]), [message]);
}

#[test]
fn who_never_speaks_sip_is_given_up() {
    let line = format!("{}\r\n", "y".repeat(1_000));
    let mut framer = Framer::new(Limits::default());
    let mut pushed = 0;
    let last = loop {
        if let Some(piece) = framer.next_piece() {
            break piece;
        }
        framer.push(line.as_bytes());
        pushed += line.len();
        assert!(pushed <= GIVE_UP + 2 * line.len());
    };
    assert_eq!(last, Piece::Lost);
    assert!(pushed > GIVE_UP);
    framer.push(options("a").as_bytes());
    assert_eq!(framer.next_piece(), None);
}
