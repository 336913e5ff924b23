//! A whole fax over SRTP, and somebody on the way who sees every packet, and sends more.

use super::super::Keys;
use super::faxes::{LONGEST, end, sheet};
use super::*;
use fax_dsp::g711::Law;
use fax_image::{Decoder, Limits};
use fax_srtp::{MasterKey, Profile};

const CODEC: Codec = Codec { law: Law::A, payload_type: 8 };

/// What lies between the two ends, towards one of them.
struct Wiretap {
    socket: UdpSocket,
    /// The packet before the last.
    old: Vec<u8>,
    seen: u32,
}

impl Wiretap {
    fn new() -> Wiretap {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Wiretap { socket, old: Vec::new(), seen: 0 }
    }

    fn at(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Sends on what came, and what it makes of it: damaged, in clear, from elsewhere, again, cut.
    fn carry(&mut self, by: &UdpSocket, to: SocketAddr) {
        let mut buffer = [0; 2_048];
        while let Ok((length, _)) = self.socket.recv_from(&mut buffer) {
            let packet = buffer[..length].to_vec();
            assert_eq!(length, 12 + PACKET_SAMPLES + 10);
            let octets = &packet[12..12 + PACKET_SAMPLES];
            let same = octets.windows(2).filter(|w| w[0] == w[1]).count();
            assert!(same < 20, "silence and tones are not to be seen: {octets:?}");
            let mut damaged = packet.clone();
            damaged[(12 + self.seen as usize * 7) % length] ^= 1 << (self.seen % 8);
            let mut clear = packet[..12].to_vec();
            clear.resize(172, 0x55);
            let mut later = clear.clone();
            later[3] = later[3].wrapping_add(40);
            let mut other = packet.clone();
            other[11] ^= 1;
            let rtcp = [&[0x80, 203, 0, 1][..], &packet[8..12]].concat();
            for forged in [&damaged, &clear, &later, &other, &self.old, &packet[..100].to_vec(), &rtcp] {
                by.send_to(forged, to).unwrap();
            }
            by.send_to(&packet, to).unwrap();
            by.send_to(&packet, to).unwrap();
            self.old = packet;
            self.seen += 1;
        }
    }
}

#[test]
fn what_is_forged_damaged_or_said_again_has_no_effect() {
    let key = |fill| MasterKey::new(Profile::Aes128Tag80, &[fill; 30]).unwrap();
    let keys = |ours, theirs| Some(Keys { ours: key(ours), theirs: key(theirs) });
    let (bitmap, page) = sheet();
    let mut taps = [Wiretap::new(), Wiretap::new()];
    let mut caller = end(t30::Role::Calling, vec![page], taps[0].at(), CODEC, keys(1, 2));
    let mut called = end(t30::Role::Called, Vec::new(), taps[1].at(), CODEC, keys(2, 1));
    let to_called = called.leg.socket.local_addr().unwrap();
    let to_caller = caller.leg.socket.local_addr().unwrap();
    for ms in 0..LONGEST {
        let now = Instant::from_millis(ms);
        let [there, back] = &mut taps;
        there.carry(&back.socket, to_called);
        back.carry(&there.socket, to_caller);
        for end in [&mut caller, &mut called] {
            while end.leg.read(now) {}
            end.time(now);
        }
        if let (Some(a), Some(b)) = (&caller.outcome, &called.outcome) {
            assert_eq!((&a.failure, &b.failure), (&None, &None));
            let mut decoder = Decoder::new(fax_base::page::Coding::Mmr, 1728, Limits::default());
            decoder.push(&called.pages[0].t6);
            assert!(called.pages.len() == 1 && decoder.finish().bitmap == bitmap);
            assert!(taps.iter().all(|tap| tap.seen > 500));
            return;
        }
    }
    panic!("no end");
}

#[test]
fn a_stranger_with_the_wrong_key_is_not_latched_on() {
    let key = |fill| MasterKey::new(Profile::Aes256Tag32, &[fill; 46]).unwrap();
    let far_end = UdpSocket::bind("127.0.0.1:0").unwrap();
    let keys = Some(Keys { ours: key(1), theirs: key(2) });
    let mut end = end(t30::Role::Called, Vec::new(), far_end.local_addr().unwrap(), CODEC, keys);
    let to = end.leg.socket.local_addr().unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |socket: &UdpSocket, fill: u8| {
        let mut packet = [&[0x80, 8, 0, fill, 0, 0, 0, 0, 0, 0, 0, 9][..], &[0xD5; 180]].concat();
        let length = fax_srtp::Outbound::new(&key(fill)).unwrap().protect(&mut packet, 172).unwrap();
        socket.send_to(&packet[..length], to).unwrap();
    };
    let latched = |end: &mut super::faxes::End| {
        while end.leg.read(Instant::from_millis(10)) {}
        (end.leg.latch.is_latched(), end.leg.latch.remote())
    };
    send(&stranger, 3);
    assert_eq!(latched(&mut end), (false, far_end.local_addr().unwrap()));
    send(&stranger, 2);
    assert_eq!(
        latched(&mut end),
        (true, stranger.local_addr().unwrap()),
        "it has the key, so it is the far end"
    );
}
