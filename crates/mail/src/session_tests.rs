//! Scripts in, traces out: RFC 5321 sessions fed whole, octet by octet and at random.

use super::*;

fn at(millis: u64) -> Instant {
    Instant::default() + Duration::from_millis(millis)
}

/// Runs a session on octets cut into pieces of `cut`, accepting every recipient but those named `no…` and `not…`.
fn run(limits: Limits, cut: usize, input: &[u8]) -> (String, Vec<Envelope>) {
    let mut session = Session::new("mx.example", limits);
    session.handle(at(0), Input::Connected);
    let (mut said, mut mails) = (String::new(), Vec::new());
    let drain = |session: &mut Session, said: &mut String, mails: &mut Vec<Envelope>| {
        while let Some(output) = session.poll() {
            match output {
                Output::Send(octets) => said.push_str(&String::from_utf8(octets).unwrap()),
                Output::Recipient { recipient, .. } => {
                    let verdict = match recipient {
                        r if r.starts_with("nobody") => Verdict::NotFound,
                        r if r.starts_with("not") => Verdict::NotAllowed,
                        _ => Verdict::Accept,
                    };
                    session.handle(at(1), Input::Recipient(verdict));
                }
                Output::Mail(mail) => {
                    let disposition = match mail.octets.starts_with(b"refuse") {
                        true => Disposition::Refused("no valid attachment".into()),
                        false => Disposition::Queued(vec![format!("job{}", mails.len() + 1)]),
                    };
                    mails.push(mail);
                    session.handle(at(1), Input::Mail(disposition));
                }
                Output::Close => said.push_str("<closed>"),
            }
        }
    };
    for piece in input.chunks(cut) {
        session.handle(at(1), Input::Octets(piece));
        drain(&mut session, &mut said, &mut mails);
    }
    drain(&mut session, &mut said, &mut mails);
    (said, mails)
}

fn say(input: &str) -> String {
    run(Limits::default(), usize::MAX, input.as_bytes()).0
}

#[test]
fn a_pipelined_session_gives_the_same_trace_however_it_is_cut() {
    let input = b"EHLO pc.example\r\nMAIL FROM:<a@b.example> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<4155551234@box>\r\nRCPT TO:<nobody@box>\r\n\
        RCPT TO:<not@box>\r\nRCPT TO:<4155551234@box>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<1@box>\r\nDATA\r\nrefuse\r\n.\r\nQUIT\r\n";
    let whole = run(Limits::default(), usize::MAX, input);
    assert_eq!(
        whole.0,
        "220 mx.example ESMTP ferrofax\r\n250-mx.example\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 SIZE 10485760\r\n\
         250 sender Ok\r\n250 recipient Ok\r\n554 Not Found\r\n554 not allowed\r\n250 recipient Ok\r\n\
         354 enter mail, end with line containing only '.'\r\n250 queued as job1\r\n250 sender Ok\r\n250 recipient Ok\r\n\
         354 enter mail, end with line containing only '.'\r\n554 no valid attachment\r\n221 Bye\r\n<closed>"
    );
    assert_eq!(whole.1[0].recipients, ["4155551234@box"], "a recipient given twice is one");
    assert_eq!(whole.1[0].octets, b"Subject: x\r\n\r\n.dot\r\n");
    assert_eq!((whole.1[0].helo.as_str(), whole.1[0].sender.as_str()), ("pc.example", "a@b.example"));
    assert_eq!(whole.1[1].sender, "");
    for cut in [1, 2, 3, 7, 50] {
        assert_eq!(run(Limits::default(), cut, input), whole, "cut at {cut}");
    }
}

#[test]
fn commands_out_of_order_are_refused_and_harm_nothing() {
    let cases = [
        ("MAIL FROM:<a@b>\r\n", "503 Error: send HELO/EHLO first\r\n"),
        ("RCPT TO:<1@b>\r\n", "503 Error: send HELO/EHLO first\r\n"),
        ("DATA\r\n", "503 Error: send HELO/EHLO first\r\n"),
        ("HELO\r\n", "501 Syntax: HELO hostname\r\n"),
        ("HELO h\r\nRCPT TO:<1@b>\r\n", "503 Error: need MAIL command\r\n"),
        ("HELO h\r\nDATA\r\n", "503 Error: need RCPT command\r\n"),
        ("HELO h\r\nMAIL FROM:<a@b>\r\nDATA\r\n", "503 Error: need RCPT command\r\n"),
        ("HELO h\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\n", "503 Error: Nested MAIL command\r\n"),
        ("HELO h\r\nMAIL FROM:<a@b>\r\nRSET\r\nRCPT TO:<1@b>\r\n", "503 Error: need MAIL command\r\n"),
        ("HELO h\r\nMAIL FROM:<a@b>\r\nEHLO h\r\nRCPT TO:<1@b>\r\n", "503 Error: need MAIL command\r\n"),
        ("HELO h\r\nMAIL a@b\r\n", "501 Syntax: MAIL FROM:<address>\r\n"),
        ("HELO h\r\nMAIL FROM:<a b>\r\n", "501 Bad sender address syntax\r\n"),
        ("HELO h\r\nMAIL FROM:<a@b> FOO=1\r\n", "555 Unsupported option: FOO"),
        (
            "HELO h\r\nMAIL FROM:<a@b> SIZE=99999999\r\n",
            "552 Estimated message length 99999999 exceeds limit of 10485760\r\n",
        ),
        ("HELO h\r\nMAIL FROM:<a@b>\r\nRCPT 1@b\r\n", "501 Syntax: RCPT TO:<address>\r\n"),
        ("NOOP\r\n", "250 Ok\r\n"),
        ("NOOP hello\r\n", "250 Ok\r\n"),
        ("RSET\r\n", "250 Ok\r\n"),
        ("VRFY a\r\n", "252 VRFY disabled by policy, just send some mail\r\n"),
        ("HELP\r\n", "214 "),
        ("STARTTLS\r\n", "502 Error"),
        ("AUTH PLAIN AAAA\r\n", "502 Error: AUTH not implemented\r\n"),
        ("FROB x\r\n", "500 Error: command not recognized : 'FROB'\r\n"),
        ("\r\n", "500 Error: command not recognized : ''\r\n"),
        ("NOOP\n", "500 Error: bare CR or LF\r\n"),
        ("NO\rOP\r\n", "500 Error: bare CR or LF\r\n"),
        ("helo h\r\nmail from:<a@b>\r\n", "250 sender Ok\r\n"),
    ];
    for (input, last) in cases {
        let said = say(input);
        let line = said.trim_end_matches("\r\n").rsplit("\r\n").next().unwrap().to_owned() + "\r\n";
        assert!(line.starts_with(last), "{input:?} gave {said:?}");
        // And a good mail still passes afterwards.
        let after = say(&format!("{input}EHLO h\r\nMAIL FROM:<a@b>\r\nRCPT TO:<1@b>\r\nDATA\r\nx\r\n.\r\n"));
        assert!(after.ends_with("250 queued as job1\r\n"), "{input:?} gave {after:?}");
    }
}

/// Clients give up on longer lines, and send everything again.
#[test]
fn a_reply_has_512_octets_at_most_however_many_faxes_were_queued() {
    let id = |n: usize| format!("{n:032x}");
    for (count, end) in [(1, id(0)), (12, id(11)), (13, "and 1 more".into()), (2000, "and 1988 more".into())]
    {
        let ids: Vec<String> = (0..count).map(id).collect();
        let said = queued(&ids);
        assert!(said.starts_with(&format!("250 queued as {}", id(0))) && said.ends_with(&end), "{said}");
        assert!(said.len() + 2 <= 512, "{} octets", said.len());
    }
}

#[test]
fn a_mail_cannot_be_smuggled_inside_another() {
    for end in ["\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\r\n\0.\r\n"] {
        let input = format!(
            "EHLO h\r\nMAIL FROM:<a@b>\r\nRCPT TO:<1@b>\r\nDATA\r\nbody{end}MAIL FROM:<evil@b>\r\nRCPT TO:<2@b>\r\nDATA\r\nsmuggled\r\n.\r\n"
        );
        let (_, mails) = run(Limits::default(), usize::MAX, input.as_bytes());
        assert_eq!(mails.len(), 1, "{end:?}");
        assert_eq!(mails[0].recipients, ["1@b"]);
    }
}

#[test]
fn sizes_and_counts_are_bounded() {
    let limits =
        Limits { message: 1000, line: 600, recipients: 3, errors: 2, commands: 30, ..Limits::default() };
    let head = "EHLO h\r\nMAIL FROM:<a@b>\r\nRCPT TO:<1@b>\r\n";
    let mut big = format!("{head}DATA\r\n").into_bytes();
    big.extend_from_slice(&[b'x'; 1500]);
    big.extend_from_slice(b"\r\n.\r\nNOOP\r\n");
    let (said, mails) = run(limits.clone(), 100, &big);
    assert!(said.ends_with("552 Message too large\r\n250 Ok\r\n") && mails.is_empty(), "{said}");

    let mut endless = format!("{head}DATA\r\n").into_bytes();
    endless.extend_from_slice(&[b'x'; 9000]);
    let (said, _) = run(limits.clone(), 100, &endless);
    assert!(said.ends_with("552 Message too large\r\n<closed>"), "{said}");

    let (said, _) = run(limits.clone(), 10, format!("{head}DATA\r\n.\r\n").as_bytes());
    assert!(said.ends_with("552 Message too small\r\n"), "{said}");

    let (said, _) = run(limits.clone(), 7, format!("NOOP {}\r\nNOOP\r\n", "x".repeat(5000)).as_bytes());
    assert!(said.ends_with("500 Error: line too long\r\n250 Ok\r\n"), "{said}");

    let (said, _) = run(
        limits.clone(),
        7,
        format!("{head}RCPT TO:<2@b>\r\nRCPT TO:<3@b>\r\nRCPT TO:<4@b>\r\n").as_bytes(),
    );
    assert!(said.ends_with("452 Error: too many recipients\r\n"), "{said}");

    let (said, _) = run(limits.clone(), 7, b"A\r\nB\r\nC\r\nNOOP\r\n");
    assert!(said.ends_with("421 Error: too many errors\r\n<closed>"), "{said}");

    let (said, _) = run(limits, 7, &b"NOOP\r\n".repeat(31));
    assert!(said.ends_with("421 Error: too many commands\r\n<closed>"), "{said}");
}

#[test]
fn silence_ends_the_session_but_a_slow_answer_of_ours_does_not() {
    let mut session = Session::new("h", Limits::default());
    session.handle(at(0), Input::Connected);
    assert_eq!(session.deadline(), Some(at(180_000)));
    session.handle(at(100_000), Input::Octets(b"EHLO h\r\n"));
    assert_eq!(session.deadline(), Some(at(280_000)));
    session.handle(at(200_000), Input::Timeout);
    assert!(session.wants_octets(), "too early");
    session.handle(at(201_000), Input::Octets(b"MAIL FROM:<a@b>\r\nRCPT TO:<1@b>\r\n"));
    assert_eq!((session.deadline(), session.wants_octets()), (None, false));
    session.handle(at(202_000), Input::Recipient(Verdict::TryLater));
    session.handle(at(382_000), Input::Timeout);
    let outputs: Vec<Output> = std::iter::from_fn(|| session.poll()).collect();
    assert_eq!(
        outputs[outputs.len() - 3..],
        [
            Output::Send(b"451 try again later\r\n".to_vec()),
            Output::Send(b"421 Error: timeout exceeded\r\n".to_vec()),
            Output::Close
        ]
    );
}

#[test]
fn a_slow_drip_cannot_outlive_the_session_limit() {
    let mut session = Session::new("h", Limits::default());
    session.handle(at(0), Input::Connected);
    for minute in 1..60 {
        session.handle(at(minute * 60_000), Input::Octets(b"N"));
    }
    assert_eq!(session.deadline(), Some(at(3_600_000)));
}

#[test]
fn a_balancers_proxy_line_is_passed_over_only_where_it_is_expected() {
    let limits = Limits { proxy_line: true, ..Limits::default() };
    let input = b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nNOOP\r\nPROXY again\r\n";
    let (said, _) = run(limits, 3, input);
    assert!(
        said.ends_with("ferrofax\r\n250 Ok\r\n500 Error: command not recognized : 'PROXY'\r\n"),
        "{said}"
    );
    assert!(say("PROXY x\r\n").contains("500 Error"));
}

/// Random octets and random commands never panic, and what the session holds stays bounded.
#[test]
fn random_input_is_survived_in_bounded_memory() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let words: [&[u8]; 16] = [
        b"EHLO h\r\n",
        b"MAIL FROM:<a@b>\r\n",
        b"RCPT TO:<1@b>\r\n",
        b"DATA\r\n",
        b"\r\n.\r\n",
        b"RSET\r\n",
        b"\r",
        b"\n",
        b".",
        b"MAIL FROM:<",
        b" SIZE=18446744073709551616\r\n",
        b"\xff\xfe\0",
        b"RCPT TO:<\"\\\"@@>\r\n",
        b"BDAT 5\r\n",
        b"x",
        b"\r\n",
    ];
    let limits = Limits { message: 5000, errors: 1_000_000, commands: 1_000_000, ..Limits::default() };
    for _ in 0..300 {
        let mut session = Session::new("h", limits.clone());
        session.handle(at(0), Input::Connected);
        let mut asked = 0;
        for _ in 0..200 {
            let octets: Vec<u8> = match next() % 4 {
                0 => (0..next() % 300).map(|_| next().to_le_bytes()[0]).collect(),
                _ => words[usize::try_from(next() % 16).unwrap()].to_vec(),
            };
            session.handle(at(1), Input::Octets(&octets));
            while let Some(output) = session.poll() {
                match output {
                    Output::Recipient { .. } => asked = 1,
                    Output::Mail(mail) => {
                        assert!(mail.octets.len() <= 5000);
                        asked = 2;
                    }
                    Output::Send(said) => assert!(said.ends_with(b"\r\n") && said.len() < 600),
                    Output::Close => {}
                }
            }
            // Sometimes the driver answers late, sometimes the wrong question.
            match (asked, next() % 3) {
                (1, 0) => session.handle(at(2), Input::Recipient(Verdict::Accept)),
                (2, 0) => session.handle(at(2), Input::Mail(Disposition::TryLater)),
                (_, 1) => session.handle(at(2), Input::Recipient(Verdict::NotFound)),
                _ => {}
            }
            assert!(session.waiting.len() <= WAITING_LIMIT);
        }
    }
}
