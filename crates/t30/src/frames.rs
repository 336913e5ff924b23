//! Binary coded frames: facsimile control fields, their names, building and parsing (T.30 §5.3.6).

use bytes::{BufMut, Bytes, BytesMut};

/// The HDLC address of every frame.
pub const ADDRESS: u8 = 0xFF;
/// Control field of a frame that others follow.
pub const CONTROL_MORE: u8 = 0xC0;
/// Control field of the last frame of a burst.
pub const CONTROL_FINAL: u8 = 0xC8;

macro_rules! fcfs {
    ($( $(#[$doc:meta])* $variant:ident = $code:literal $x:ident $name:literal; )*) => {
        /// The facsimile control field: what a frame says.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Fcf {
            $( $(#[$doc])* $variant, )*
            /// None that T.30 knows.
            Unknown,
        }

        impl Fcf {
            /// All that T.30 knows.
            pub const ALL: &[Fcf] = &[$( Fcf::$variant, )*];
        }

        /// Field, code in printed order with X = 0, whether the first bit is X, name.
        const TABLE: &[(Fcf, u8, bool, &str)] = &[
            $( (Fcf::$variant, $code, fcfs!(@x $x), $name), )*
        ];
    };
    (@x x) => { true };
    (@x fixed) => { false };
}

fcfs! {
    /// Digital identification signal.
    Dis = 0x01 fixed "DIS";
    /// Called subscriber identification.
    Csi = 0x02 fixed "CSI";
    /// Non-standard facilities.
    Nsf = 0x04 fixed "NSF";
    /// Digital extended signal.
    Des = 0x05 fixed "DES";
    /// Security page indicator.
    Spi = 0x08 fixed "SPI";
    /// Digital transmit command.
    Dtc = 0x81 fixed "DTC";
    /// Calling subscriber identification.
    Cig = 0x82 fixed "CIG";
    /// Password for polling.
    Pwd = 0x83 fixed "PWD";
    /// Non-standard facilities command.
    Nsc = 0x84 fixed "NSC";
    /// Selective polling.
    Sep = 0x85 fixed "SEP";
    /// Polled sub-address.
    Psa = 0x86 fixed "PSA";
    /// Calling subscriber internet address.
    Cia = 0x87 fixed "CIA";
    /// Internet selective polling address; in security signals DTR.
    Isp = 0x88 fixed "ISP";
    /// Digital extended command.
    Dec = 0xC9 fixed "DEC";
    /// Digital extended request.
    Der = 0xCA fixed "DER";
    /// Transmitter keys.
    Tk = 0xD2 fixed "TK";
    /// Digital command signal.
    Dcs = 0x41 x "DCS";
    /// Transmitting subscriber identification.
    Tsi = 0x42 x "TSI";
    /// Sub-address of the recipient.
    Sub = 0x43 x "SUB";
    /// Non-standard set-up.
    Nss = 0x44 x "NSS";
    /// Sender identification.
    Sid = 0x45 x "SID";
    /// Transmitting subscriber internet address.
    Tsa = 0x46 x "TSA";
    /// Internet routing address.
    Ira = 0x47 x "IRA";
    /// Continue to correct.
    Ctc = 0x48 x "CTC";
    /// Confirmation to receive.
    Cfr = 0x21 x "CFR";
    /// Failure to train.
    Ftt = 0x22 x "FTT";
    /// Response for continue to correct.
    Ctr = 0x23 x "CTR";
    /// Called subscriber internet address.
    Csa = 0x24 x "CSA";
    /// End of message.
    Eom = 0x71 x "EOM";
    /// Multipage signal.
    Mps = 0x72 x "MPS";
    /// End of retransmission.
    Eor = 0x73 x "EOR";
    /// End of procedures.
    Eop = 0x74 x "EOP";
    /// Receive ready.
    Rr = 0x76 x "RR";
    /// End of selection.
    Eos = 0x78 x "EOS";
    /// Procedure interrupt, end of message.
    PriEom = 0x79 x "PRI-EOM";
    /// Procedure interrupt, multipage signal.
    PriMps = 0x7A x "PRI-MPS";
    /// Procedure interrupt, end of procedures.
    PriEop = 0x7C x "PRI-EOP";
    /// Partial page signal.
    Pps = 0x7D x "PPS";
    /// Message confirmation.
    Mcf = 0x31 x "MCF";
    /// Retrain negative.
    Rtn = 0x32 x "RTN";
    /// Retrain positive.
    RetrainPositive = 0x33 x "RTP";
    /// Procedure interrupt negative.
    Pin = 0x34 x "PIN";
    /// Procedure interrupt positive.
    Pip = 0x35 x "PIP";
    /// Procedure interrupt disconnect.
    Pid = 0x36 x "PID";
    /// Receive not ready.
    Rnr = 0x37 x "RNR";
    /// Response for end of retransmission.
    Err = 0x38 x "ERR";
    /// Partial page request.
    Ppr = 0x3D x "PPR";
    /// File diagnostics message.
    Fdm = 0x3F x "FDM";
    /// Receiver keys.
    Rk = 0x52 x "RK";
    /// Field not valid.
    Fnv = 0x53 x "FNV";
    /// Transmitter ready.
    Tr = 0x56 x "TR";
    /// Transmitter not ready.
    Tnr = 0x57 x "TNR";
    /// Command repeat.
    Crp = 0x58 x "CRP";
    /// Digital not acknowledge.
    Dnk = 0x59 x "DNK";
    /// Disconnect.
    Dcn = 0x5F x "DCN";
    /// Facsimile coded data (image channel).
    Fcd = 0x60 x "FCD";
    /// Return to control for partial page (image channel).
    Rcp = 0x61 x "RCP";
    /// Character coded data (image channel).
    Ccd = 0x62 x "CCD";
}

impl Fcf {
    /// The field that `octet` (printed order) is, X ignored.
    #[must_use]
    pub fn parse(octet: u8) -> Self {
        TABLE
            .iter()
            .find(|(_, code, x, _)| *code == octet || (*x && *code == octet & 0x7F))
            .map_or(Fcf::Unknown, |row| row.0)
    }

    /// The octet in printed order with this X bit.
    #[must_use]
    pub fn octet(self, x: bool) -> u8 {
        TABLE.iter().find(|row| row.0 == self).map_or(
            0,
            |(_, code, has_x, _)| {
                if x && *has_x { code | 0x80 } else { *code }
            },
        )
    }

    /// Its name as printed in T.30; `?` for an unknown one.
    #[must_use]
    pub fn name(self) -> &'static str {
        TABLE.iter().find(|row| row.0 == self).map_or("?", |row| row.3)
    }
}

/// The second facsimile control field of PPS and EOR.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fcf2 {
    /// More blocks of the page follow.
    Null,
    /// Another page in the same format follows.
    Mps,
    /// Back to phase B.
    Eom,
    /// The last page.
    Eop,
    /// End of selection.
    Eos,
    /// MPS with a wish for the operator.
    PriMps,
    /// EOM with a wish for the operator.
    PriEom,
    /// EOP with a wish for the operator.
    PriEop,
}

impl Fcf2 {
    /// The field that `octet` (printed order) is, X ignored.
    #[must_use]
    pub fn parse(octet: u8) -> Option<Self> {
        if octet & 0x7F == 0 {
            return Some(Fcf2::Null);
        }
        Self::from_fcf(Fcf::parse(octet))
    }

    /// The plain post-message command as a second field.
    #[must_use]
    pub fn from_fcf(fcf: Fcf) -> Option<Self> {
        [
            (Fcf::Mps, Fcf2::Mps),
            (Fcf::Eom, Fcf2::Eom),
            (Fcf::Eop, Fcf2::Eop),
            (Fcf::Eos, Fcf2::Eos),
            (Fcf::PriMps, Fcf2::PriMps),
            (Fcf::PriEom, Fcf2::PriEom),
            (Fcf::PriEop, Fcf2::PriEop),
        ]
        .into_iter()
        .find(|(plain, _)| *plain == fcf)
        .map(|(_, second)| second)
    }

    /// The octet in printed order; NULL has no X bit.
    #[must_use]
    pub fn octet(self, x: bool) -> u8 {
        match self {
            Fcf2::Null => 0,
            Fcf2::Mps => Fcf::Mps.octet(x),
            Fcf2::Eom => Fcf::Eom.octet(x),
            Fcf2::Eop => Fcf::Eop.octet(x),
            Fcf2::Eos => Fcf::Eos.octet(x),
            Fcf2::PriMps => Fcf::PriMps.octet(x),
            Fcf2::PriEom => Fcf::PriEom.octet(x),
            Fcf2::PriEop => Fcf::PriEop.octet(x),
        }
    }

    /// What it asks for once the page is settled, operators aside.
    #[must_use]
    pub fn plain(self) -> Self {
        match self {
            Fcf2::Null => Fcf2::Null,
            Fcf2::Mps | Fcf2::PriMps => Fcf2::Mps,
            Fcf2::Eom | Fcf2::PriEom | Fcf2::Eos => Fcf2::Eom,
            Fcf2::Eop | Fcf2::PriEop => Fcf2::Eop,
        }
    }

    /// The same without a wish for the operator.
    #[must_use]
    pub fn without_interrupt(self) -> Self {
        match self {
            Fcf2::Null => Fcf2::Null,
            Fcf2::Mps | Fcf2::PriMps => Fcf2::Mps,
            Fcf2::Eom | Fcf2::PriEom => Fcf2::Eom,
            Fcf2::Eop | Fcf2::PriEop => Fcf2::Eop,
            Fcf2::Eos => Fcf2::Eos,
        }
    }

    /// The same with a wish for the operator, where there is such a command.
    #[must_use]
    pub fn with_interrupt(self) -> Self {
        match self {
            Fcf2::Null => Fcf2::Null,
            Fcf2::Mps | Fcf2::PriMps => Fcf2::PriMps,
            Fcf2::Eom | Fcf2::PriEom => Fcf2::PriEom,
            Fcf2::Eop | Fcf2::PriEop => Fcf2::PriEop,
            Fcf2::Eos => Fcf2::Eos,
        }
    }

    /// Whether the far end's operator is wanted.
    #[must_use]
    pub fn is_interrupt(self) -> bool {
        self != self.without_interrupt()
    }

    /// The post-message command of a page without error correction; none for NULL.
    #[must_use]
    pub fn fcf(self) -> Option<Fcf> {
        match self {
            Fcf2::Null => None,
            Fcf2::Mps => Some(Fcf::Mps),
            Fcf2::Eom => Some(Fcf::Eom),
            Fcf2::Eop => Some(Fcf::Eop),
            Fcf2::Eos => Some(Fcf::Eos),
            Fcf2::PriMps => Some(Fcf::PriMps),
            Fcf2::PriEom => Some(Fcf::PriEom),
            Fcf2::PriEop => Some(Fcf::PriEop),
        }
    }

    const fn pps_name(self) -> &'static str {
        match self {
            Fcf2::Null => "PPS-NULL",
            Fcf2::Mps => "PPS-MPS",
            Fcf2::Eom => "PPS-EOM",
            Fcf2::Eop => "PPS-EOP",
            Fcf2::Eos => "PPS-EOS",
            Fcf2::PriMps => "PPS-PRI-MPS",
            Fcf2::PriEom => "PPS-PRI-EOM",
            Fcf2::PriEop => "PPS-PRI-EOP",
        }
    }

    const fn eor_name(self) -> &'static str {
        match self {
            Fcf2::Null => "EOR-NULL",
            Fcf2::Mps => "EOR-MPS",
            Fcf2::Eom => "EOR-EOM",
            Fcf2::Eop => "EOR-EOP",
            Fcf2::Eos => "EOR-EOS",
            Fcf2::PriMps => "EOR-PRI-MPS",
            Fcf2::PriEom => "EOR-PRI-EOM",
            Fcf2::PriEop => "EOR-PRI-EOP",
        }
    }
}

/// A frame taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// All octets from the address on, printed order, without FCS.
    pub octets: Bytes,
    /// What it says.
    pub fcf: Fcf,
    /// Whether it is the last of its burst.
    pub last: bool,
    /// The facsimile information field.
    pub fif: Bytes,
}

impl Frame {
    /// Takes `octets` (from the address on, without FCS) apart. `None` when they are no frame of
    /// T.30: shorter than three octets, another address or control field.
    #[must_use]
    pub fn parse(octets: &Bytes) -> Option<Self> {
        let (&address, &control, &fcf) = (octets.first()?, octets.get(1)?, octets.get(2)?);
        if address != ADDRESS || control & !0x08 != CONTROL_MORE {
            return None;
        }
        Some(Frame {
            octets: octets.clone(),
            fcf: Fcf::parse(fcf),
            last: control == CONTROL_FINAL,
            fif: octets.slice(3..),
        })
    }

    /// PPS's or EOR's second field.
    #[must_use]
    pub fn fcf2(&self) -> Option<Fcf2> {
        Fcf2::parse(*self.fif.first()?)
    }

    /// Its name as printed in T.30: `DIS`, `PPS-EOP` …; `?` for an unknown one.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (self.fcf, self.fcf2()) {
            (Fcf::Pps, Some(second)) => second.pps_name(),
            (Fcf::Eor, Some(second)) => second.eor_name(),
            (fcf, _) => fcf.name(),
        }
    }
}

/// A frame's octets in printed order, without FCS.
#[must_use]
pub fn build(fcf: Fcf, x: bool, last: bool, fif: &[u8]) -> Bytes {
    let mut octets = BytesMut::with_capacity(3 + fif.len());
    octets.put_u8(ADDRESS);
    octets.put_u8(if last { CONTROL_FINAL } else { CONTROL_MORE });
    octets.put_u8(fcf.octet(x));
    octets.put_slice(fif);
    octets.freeze()
}

/// Frames without a facsimile information field: a damaged one of that length can be no other than these.
const SHORT: [Fcf; 21] = [
    Fcf::Cfr,
    Fcf::Ftt,
    Fcf::Ctr,
    Fcf::Eom,
    Fcf::Mps,
    Fcf::Eop,
    Fcf::Eos,
    Fcf::Rr,
    Fcf::PriEom,
    Fcf::PriMps,
    Fcf::PriEop,
    Fcf::Mcf,
    Fcf::Rtn,
    Fcf::RetrainPositive,
    Fcf::Pin,
    Fcf::Pip,
    Fcf::Pid,
    Fcf::Rnr,
    Fcf::Err,
    Fcf::Crp,
    Fcf::Dcn,
];

/// The frames that have no information field, as they end a burst, with either value of the first bit.
pub fn without_field() -> impl Iterator<Item = [u8; 3]> {
    let frames = |fcf: Fcf| [false, true].map(|x| [ADDRESS, CONTROL_FINAL, fcf.octet(x)]);
    SHORT.into_iter().flat_map(frames)
}

/// The name of the frame with these octets.
#[must_use]
pub fn name_of(octets: &Bytes) -> &'static str {
    Frame::parse(octets).map_or("?", |frame| frame.name())
}

/// The twenty characters of an identification as an information field: right-justified, the last
/// character first, each with its least significant bit first (T.30 §5.3.6.2.4).
#[must_use]
pub fn ident_to_fif(ident: &str) -> [u8; 20] {
    let mut fif = [b' '.reverse_bits(); 20];
    let printable = ident.chars().filter(|c| c.is_ascii() && !c.is_ascii_control());
    let kept: Vec<u8> = printable.take(20).filter_map(|c| u8::try_from(c).ok()).collect();
    for (slot, octet) in fif.iter_mut().zip(kept.iter().rev()) {
        *slot = octet.reverse_bits();
    }
    fif
}

/// An identification as cleaned for printing: at most twenty characters, control and foreign octets
/// replaced by `?`, NULs and outer blanks removed. `None` when nothing is left.
#[must_use]
pub fn ident_from_fif(fif: &[u8]) -> Option<String> {
    let text: String = fif
        .iter()
        .take(20)
        .rev()
        .map(|octet| octet.reverse_bits())
        .filter(|octet| *octet != 0)
        .map(|octet| if (0x20..0x7F).contains(&octet) { char::from(octet) } else { '?' })
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
