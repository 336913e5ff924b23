//! The command line.

// The texts here are help for a terminal, where brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

mod stored;

pub(crate) use stored::{JobStateArg, JobsArgs, JobsCommand, StoreArgs, StoreCommand};

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use fax_store::model::Priority;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A SIP softswitch for fax: documents in by REST, mail or command line, out over SIP by T.38, and
/// the same the other way round, with the truth about every page.
#[derive(Parser, Debug)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Write JSON instead of text, one object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Start two servers on this machine, send a real PDF from one to the other, and compare.
    Demo(DemoArgs),
    /// Run the server.
    Serve(ServeArgs),
    /// Send a document: through a running server, or straight to a SIP peer.
    ///
    /// Exit status: 0 delivered, 1 not delivered, 2 wrong use or no connection, 3 uncertain.
    Send(SendArgs),
    /// Receive faxes into a folder, without a server.
    Receive(ReceiveArgs),
    /// A fax machine on a pipe: audio in on stdin, audio out on stdout, in lock-step.
    ///
    /// Both are linear PCM, signed 16 bit little-endian, mono, 8000 Hz, in blocks of 160 samples. For every
    /// block read one is written, beginning with a read; time goes on by 20 ms a block and by nothing else.
    /// The end of stdin means that the far end hung up; stdout is closed when this end has.
    ///
    /// Exit status: 0 success, 1 the fax failed, 2 wrong use or a file that cannot be read or written.
    #[command(after_long_help = LINE_EXAMPLES)]
    Line(LineArgs),
    /// Find out from a recording how a fax went: its ladder, its signals, its pages.
    ///
    /// Reads WAV (one channel with both directions, or two with one each, at any rate), raw PCM and G.711, and pcap or
    /// pcapng with G.711 over RTP or T.38 over UDPTL.
    ///
    /// Exit status: 0 the fax went well, 1 it did not, 2 the file cannot be used.
    Analyze(AnalyzeArgs),
    /// Make a recorded call once more, compare it with the recording, and tell it as a ladder.
    ///
    /// A server keeps recordings in the folder traces of its data_dir; `ferrofax jobs show` names the file of a job's
    /// last call. Our own numbers are not in it unless the configuration says so, a password never is.
    ///
    /// Exit status: 0 all as recorded, 1 something differs, 2 the file cannot be used.
    Replay(ReplayArgs),
    /// See and cancel the jobs of a running server.
    Jobs(JobsArgs),
    /// See, set, lock and forget what calls have taught about numbers: what works there, and what is left out.
    ///
    /// A failure that speaks for it (a refused T.38, a V.17 that never trains …) makes the next fax to the same number
    /// start without it; after some time, or some deliveries, the better way is tried again.
    #[command(after_long_help = TRAITS)]
    Destinations(ProfilesArgs),
    /// The same for trunks, where many numbers failed in the same way: for the operator's account.
    #[command(after_long_help = TRAITS)]
    Trunks(ProfilesArgs),
    /// See who is banned from the SIP side and lift bans: for the operator's account.
    ///
    /// Whoever guesses passwords, calls without being allowed to or scans is banned for a time ([protection]).
    ///
    /// Exit status: 0 done, 2 there is no such ban, or no connection.
    Bans(BansArgs),
    /// Let a running server read its configuration again: trunks, accounts, faxboxes and limits change, calls go on.
    ///
    /// A file with a fault is refused, and the old configuration stays. The same is done by SIGHUP. For the operator's
    /// account.
    ///
    /// Exit status: 0 done, 2 refused, or no connection.
    Reload(ReloadArgs),
    /// Carry the whole store into a file and back, into a file or PostgreSQL; destroy an account's encryption key.
    ///
    /// Stop every server on the store first; destroy-key may be used while servers run on a database. An import that was interrupted is repeated with the same archive.
    ///
    /// Exit status: 0 done, 2 not done, and why.
    Store(StoreArgs),
    /// Read a configuration and say everything that is wrong with it.
    Check(CheckArgs),
    /// Say where a SIP name is: the transports, servers and addresses in the order in which they are tried.
    ///
    /// NAPTR, SRV and addresses by RFC 3263; servers of equal priority are drawn by lot, by their weights.
    ///
    /// Exit status: 0 there is a place, 1 there is none, 2 wrong use.
    Dns(DnsArgs),
    /// Say what would become of a call: which rule of the configuration is for it, and where it would go.
    ///
    /// Exit status: 0 it is received or passed on, 1 it is refused, 2 wrong use or a faulty configuration.
    #[command(after_long_help = ROUTE_EXAMPLES)]
    Route(RouteArgs),
    /// Print the description of the REST API (OpenAPI 3.1), as a running server gives it at /openapi.json.
    Openapi,
    /// The child process that converts one document (used by the server itself).
    #[command(hide = true)]
    ConvertWorker,
}

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Keep both servers running after the fax, and print their addresses and a command to try.
    #[arg(long)]
    pub(crate) stay: bool,
    /// Send this document instead of the bundled one.
    #[arg(long, value_name = "FILE")]
    pub(crate) document: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// The configuration file.
    ///
    /// The least that is needed: data_dir; a [[trunk]] with name and peer; an [[account]] with name
    /// and api_key; a [[faxbox]] with name, account and numbers; [api] to be reached.
    #[arg(long, short, value_name = "FILE", default_value = "ferrofax.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The configuration file.
    #[arg(value_name = "FILE", default_value = "ferrofax.toml")]
    pub(crate) config: PathBuf,
}

const ROUTE_EXAMPLES: &str = "Examples:
  ferrofax route --from trunk:carrier --to +4930123
  ferrofax route --from terminal:reception --to 0301234 --caller +4930456 --header 'X-Fax: yes' --json";

#[derive(Args, Debug)]
pub(crate) struct RouteArgs {
    /// Who calls: trunk:NAME or terminal:USER.
    #[arg(long, value_name = "SOURCE")]
    pub(crate) from: String,
    /// The number that is called, as it stands in the request.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) to: String,
    /// The caller's number.
    #[arg(long, value_name = "NUMBER", default_value = "")]
    pub(crate) caller: String,
    /// The number that was called first, where the call was diverted.
    #[arg(long, value_name = "NUMBER", default_value = "")]
    pub(crate) diverted_from: String,
    /// A header of the request, as 'NAME: VALUE'. May be given several times.
    #[arg(long, value_name = "HEADER")]
    pub(crate) header: Vec<String>,
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "ferrofax.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct DnsArgs {
    /// A trunk's host as in `peer`: a name or an address, with or without port, or a SIP URI.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Ask this server instead of the system's. May be given several times.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) server: Vec<SocketAddr>,
    /// By this transport only.
    #[arg(long, value_enum)]
    pub(crate) transport: Option<SipTransport>,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SipTransport {
    Udp,
    Tcp,
    Tls,
}

#[derive(Args, Debug)]
pub(crate) struct ServerArgs {
    /// Address of the server's REST interface.
    #[arg(
        long,
        global = true,
        env = "FERROFAX_API",
        value_name = "URL",
        default_value = "http://127.0.0.1:8000"
    )]
    pub(crate) api: String,
    /// API key of the account.
    #[arg(long, global = true, env = "FERROFAX_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct SendArgs {
    /// The number to be called.
    pub(crate) number: String,
    /// The document: PDF, TIFF, PNG or JPEG.
    pub(crate) file: PathBuf,
    /// Call this SIP peer directly, HOST[:PORT], without a server and its queue.
    #[arg(long, value_name = "HOST")]
    pub(crate) peer: Option<String>,
    /// With --peer: our own SIP address.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:0")]
    pub(crate) listen: SocketAddr,
    /// With --peer: by G.711 audio only, without T.38.
    #[arg(long, requires = "peer")]
    pub(crate) audio: bool,
    /// Our number: the caller's number and the TSI.
    #[arg(long, value_name = "NUMBER", default_value = "")]
    pub(crate) from: String,
    /// The name in the line at the top of every page. [the account's, or the number]
    #[arg(long, value_name = "TEXT", conflicts_with = "no_header")]
    pub(crate) header: Option<String>,
    /// No line at the top of the pages. Many countries' law demands one.
    #[arg(long)]
    pub(crate) no_header: bool,
    /// Send what is grey or in colour in the document as such, where the far end takes it, else in black and white. A
    /// page in colour takes one to five minutes on the line, one in black and white a quarter to one minute.
    #[arg(long, visible_alias = "color")]
    pub(crate) colour: bool,
    /// Among the account's faxes that wait: high goes before them, low after them. [normal]
    #[arg(long, value_name = "PRIORITY", value_parser = Priority::WORDS, conflicts_with = "peer")]
    pub(crate) priority: Option<String>,
    /// With --peer: record the call in this folder, to be replayed.
    #[arg(long, value_name = "DIR", requires = "peer")]
    pub(crate) record: Option<PathBuf>,
    /// Do not wait for the result; print the job's id.
    #[arg(long, conflicts_with = "peer")]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ReceiveArgs {
    /// Our SIP address.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:5060")]
    pub(crate) listen: SocketAddr,
    /// Whose calls are taken: an address or a network. May be given several times.
    #[arg(long, value_name = "NETWORK", default_value = "127.0.0.0/8")]
    pub(crate) from: Vec<String>,
    /// Where the faxes are written, as fax-0001.tif and fax-0001.pdf.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Our number (CSI).
    #[arg(long, value_name = "NUMBER", default_value = "")]
    pub(crate) ident: String,
    /// By G.711 audio only, without T.38.
    #[arg(long)]
    pub(crate) audio: bool,
    /// End after the first fax, with status 0 if it was received well.
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ProfilesArgs {
    #[command(subcommand)]
    pub(crate) command: ProfilesCommand,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Subcommand, Debug)]
pub(crate) enum ProfilesCommand {
    /// All of which anything is known, and what is left out there.
    List,
    /// All that is known of one.
    Show {
        /// The number, or the trunk's name.
        name: String,
    },
    /// Set traits; calls put them to the test again in time.
    Set {
        /// The number, or the trunk's name.
        name: String,
        /// What and how: ecm=off, rate=9600, t38@carrier=off …
        #[arg(required = true, value_name = "TRAIT=SETTING", value_parser = setting)]
        traits: Vec<(String, Option<String>)>,
    },
    /// Lock traits, as they are or at a setting: calls do not change them, nor does a fax's own ladder.
    Lock {
        /// The number, or the trunk's name.
        name: String,
        /// What, and how if not as it is: ecm, ecm=off …
        #[arg(required = true, value_name = "TRAIT[=SETTING]", value_parser = setting_or_none)]
        traits: Vec<(String, Option<String>)>,
    },
    /// Unlock traits: calls change them again.
    Unlock {
        /// The number, or the trunk's name.
        name: String,
        /// Which.
        #[arg(required = true, value_name = "TRAIT")]
        traits: Vec<String>,
    },
    /// Forget all of it, locks included: the next call begins with the best.
    Forget {
        /// The number, or the trunk's name.
        name: String,
    },
}

/// `TRAIT=SETTING`.
fn setting(text: &str) -> Result<(String, Option<String>), String> {
    let parts = text.split_once('=').ok_or("write it as TRAIT=SETTING, such as ecm=off")?;
    Ok((parts.0.to_owned(), Some(parts.1.to_owned())))
}

/// `TRAIT` or `TRAIT=SETTING`.
fn setting_or_none(text: &str) -> Result<(String, Option<String>), String> {
    if text.contains('=') { setting(text) } else { Ok((text.to_owned(), None)) }
}

const TRAITS: &str = "Traits and their settings, the best first:
  t38             on, accept-only, off     (of a number also by one trunk: t38@NAME)
  ecm             on, off                  error correction
  v17             on, off                  without it V.29, 9600 bit/s at most
  short_training  on, off                  without it V.17 is not used: T.30 has no other training before a page
  rate            any, 12000, 9600, 7200, 4800, 2400
  coding          any, mmr, mr, mh         the densest coding

Examples:
  ferrofax destinations list
  ferrofax destinations lock +14155550199 ecm=off rate=9600
  ferrofax destinations forget +14155550199";

const LINE_EXAMPLES: &str = "Examples:
  Two machines, one call:
    mkfifo back
    ferrofax line --call --send letter.pdf <back | ferrofax line --answer --receive in >back
  A machine on another implementation's audio, with the ladder and the result in files:
    other-fax <back | ferrofax line --answer --receive in --trace ladder.txt --report fax.json >back";

/// `ferrofax line`: the contract of version 1, which stays.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("role").args(["call", "answer"]).required(true))]
pub(crate) struct LineArgs {
    /// This end made the call: it sends the documents of --send, or fetches with --poll.
    #[arg(long)]
    pub(crate) call: bool,
    /// This end answers: it receives, and what it has to --send can be polled.
    #[arg(long)]
    pub(crate) answer: bool,
    /// A document to be sent: TIFF, PDF, PNG, JPEG or text. Fax pages in a TIFF go as they are, pel for pel.
    /// Given several times: separate documents in one call.
    #[arg(long, value_name = "FILE")]
    pub(crate) send: Vec<PathBuf>,
    /// Where received documents are written, as fax-0001.tif, fax-0002.tif … [with --answer and nothing to
    /// send, and with --poll: the present folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) receive: Option<PathBuf>,
    /// Our subscriber number (TSI, CSI, CIG), at most 20 characters.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) id: String,
    /// A line with this text and the page's number at the top of every page sent.
    #[arg(long, value_name = "TEXT")]
    pub(crate) header: Option<String>,
    /// Error correction mode.
    #[arg(long, value_name = "on|off", value_enum, default_value_t = Switch::On, hide_possible_values = true)]
    pub(crate) ecm: Switch,
    /// The modems that are offered and used. V.27ter at 2400 bit/s is always one of them.
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',', default_values_t = [Modem::V27ter, Modem::V29, Modem::V17])]
    pub(crate) modems: Vec<Modem>,
    /// The fastest rate, bit/s.
    #[arg(long, value_name = "BPS", default_value_t = 14_400)]
    pub(crate) max_rate: u32,
    /// The slowest rate, bit/s: the call is given up rather than go below it.
    #[arg(long, value_name = "BPS", default_value_t = 2400)]
    pub(crate) min_rate: u32,
    /// The codings that are offered and used. MH is always one of them; MMR, T.85 and T.81 need ECM, and T.85 goes before MMR;
    /// T.81 is for pages in grey and colour.
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',', default_values_t = [Compression::Mh, Compression::Mr, Compression::Mmr, Compression::T81])]
    pub(crate) compression: Vec<Compression>,
    /// With --call: fetch what the other end has to send.
    #[arg(long, conflicts_with = "answer")]
    pub(crate) poll: bool,
    /// With --call: the sub-address of the recipient (SUB).
    #[arg(long, value_name = "DIGITS")]
    pub(crate) sub: Option<String>,
    /// With --poll: which document is wanted (SEP).
    #[arg(long, value_name = "DIGITS")]
    pub(crate) sep: Option<String>,
    /// The password: sent by a caller, demanded by the end that answers (PWD).
    #[arg(long, value_name = "DIGITS")]
    pub(crate) pwd: Option<String>,
    /// What stdin carries: blocks alone, or before each block one octet: 0 it arrived, 1 it was lost.
    #[arg(long, value_enum, default_value_t = Frames::Raw)]
    pub(crate) frames: Frames,
    /// Write the T.30 ladder with times here.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Write the result here, as JSON.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) report: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct AnalyzeArgs {
    /// The recording: .wav, .pcap or .pcapng, told apart by their content; or bare samples with --raw.
    pub(crate) file: PathBuf,
    /// The file has bare samples in this coding: linear 16 bit little-endian, A-law or µ-law.
    #[arg(long, value_enum, value_name = "CODING")]
    pub(crate) raw: Option<Raw>,
    /// With --raw: samples a second. [8000]
    #[arg(long, value_name = "HZ", requires = "raw")]
    pub(crate) rate: Option<u32>,
    /// With --raw: 1 when both directions are in one channel, 2 when each has its own. [1]
    #[arg(long, value_name = "N", requires = "raw")]
    pub(crate) channels: Option<usize>,
    /// Draw the constellation of the last signal of a fast modem, as .svg or .png.
    #[arg(long, value_name = "FILE")]
    pub(crate) constellation: Option<PathBuf>,
    /// Write the pages here as fax-0001.tif.
    #[arg(long, value_name = "DIR")]
    pub(crate) pages: Option<PathBuf>,
    /// With --pages: write them as fax-0001.pdf, too.
    #[arg(long, requires = "pages")]
    pub(crate) pdf: bool,
}

#[derive(Args, Debug)]
pub(crate) struct BansArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(subcommand)]
    pub(crate) command: BansCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum BansCommand {
    /// Who is banned, why and until when, and what was dropped.
    List,
    /// Lift the ban of an address, and forget what led to it.
    Lift {
        /// The address, or the IPv6 network as it is listed.
        #[arg(value_name = "ADDRESS")]
        address: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// The recording, as .faxtrace.
    pub(crate) file: PathBuf,
    /// Stop at this time of the call.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) until: Option<f64>,
    /// Write the received pages here, as fax-0001.tif and fax-0001.pdf.
    #[arg(long, value_name = "DIR")]
    pub(crate) pages: Option<PathBuf>,
    /// The pages that were sent, as TIFF, where the recording has only their hashes.
    #[arg(long, value_name = "FILE.tif")]
    pub(crate) document: Option<PathBuf>,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Raw {
    /// Linear PCM, 16 bit, little-endian.
    Pcm,
    /// G.711 A-law.
    Alaw,
    /// G.711 µ-law.
    Ulaw,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Modem {
    /// 2400 and 4800 bit/s.
    #[value(name = "v27ter")]
    V27ter,
    /// 7200 and 9600 bit/s.
    V29,
    /// 7200, 9600, 12000 and 14400 bit/s.
    V17,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Compression {
    /// T.4 in one dimension.
    Mh,
    /// T.4 in two dimensions.
    Mr,
    /// T.6.
    Mmr,
    /// T.85 (JBIG).
    T85,
    /// T.81 (JPEG) for pages in grey and colour.
    T81,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Frames {
    /// Blocks of 320 octets.
    Raw,
    /// Blocks of 321 octets.
    Flagged,
}
