//! The network driver: SIP over UDP, TCP and TLS, RTP and UDPTL, media workers, and calls as their owners see them.
//!
//! An [`Endpoint`] binds one SIP address. [`Endpoint::call`] makes a fax call and answers with a [`Call`]
//! that tells what happens until it has ended; calls that come in are handed out as [`IncomingCall`]s
//! to be accepted with a fax terminal, or refused. The machines below do no I/O; all of it is here.

mod call;
mod config;
mod dns;
mod guard;
#[cfg(feature = "lab")]
pub mod lab;
mod listen;
mod local;
mod media;
mod onward;
mod signalling;
mod state;
mod stun;
mod traces;
mod transport;
mod trunk;

pub use call::{Call, CallEnd, CallEvent, CallReport, CallRequest, IncomingCall};
pub use config::{Config, Network, T38Policy};
pub use dns::order::{Service, by_priority_and_weight};
pub use dns::{Locator, Place, Places};
pub use fax_sip::sdp::Srtp;
pub use fax_sip::{Algorithm, Denial, FaxPreference, Hop, Transport};
pub use guard::{BanState, GuardCounters, GuardState, Offence, Protection, SCANNERS};
pub use listen::{Identity, Listen, StreamLimits, Tls, TlsVersion};
pub use local::{AuthenticationFailed, LocalTerminal, OnwardT38, Registrar, Ringing};
pub use media::Punctuality;
pub use onward::{Onward, OnwardCaller, OnwardEvent, OnwardReport, OnwardTarget, PassedOn, Side};
pub use signalling::hop;
pub use state::{Holdings, PlaceState, RegistrationState, TrunkState};
pub use traces::TraceConfig;
pub use trunk::{
    Advertise, Assertion, IdentityRules, NumberFormat, NumberStyle, SrtpPolicy, Trunk, TrunkLimits,
};

use call::{LegKey, Wish};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{mpsc, oneshot};

/// Where SIP is listened for.
pub(crate) type Bound = Arc<RwLock<Vec<(Transport, SocketAddr)>>>;

/// One SIP address and its calls. Clones are the same endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    wishes: mpsc::UnboundedSender<Wish>,
    next: Arc<AtomicU64>,
    bound: Bound,
    times: Arc<[Arc<media::Times>]>,
    denials: Arc<AtomicU64>,
    gate: guard::gate::Gate,
}

impl Endpoint {
    /// Binds the address, starts the media workers and the signalling task, looks the trunks up and
    /// registers where that is asked for.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound or no thread can be started.
    pub async fn start(config: Config) -> io::Result<(Endpoint, mpsc::Receiver<IncomingCall>)> {
        let locator = Locator::new(&config.dns)?;
        let (driver, ends) = signalling::Driver::start(config, locator)?;
        tokio::spawn(driver.run());
        let endpoint = Endpoint {
            wishes: ends.wishes,
            next: Arc::new(AtomicU64::new(1)),
            bound: ends.bound,
            times: ends.times,
            denials: ends.denials,
            gate: ends.gate,
        };
        Ok((endpoint, ends.incoming))
    }

    /// The SIP address that is bound, the first where there are several.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        let first = self.local_addresses().first().map(|(_, local)| *local);
        first.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Every SIP address that is bound, as configured.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<(Transport, SocketAddr)> {
        self.bound.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How punctual the media workers have been since the start.
    #[must_use]
    pub fn punctuality(&self) -> Punctuality {
        Punctuality::of(&self.times)
    }

    /// How many proofs of identity were wrong so far: [`Registrar::denials`] tells of each.
    #[must_use]
    pub fn failed_authentications(&self) -> u64 {
        self.denials.load(Ordering::Relaxed)
    }

    /// Who is banned, and what the guard has done.
    #[must_use]
    pub fn protection(&self) -> GuardState {
        self.gate.state()
    }

    /// Lifts a ban and forgets what led to it; says whether there was one.
    #[must_use]
    pub fn lift_ban(&self, source: IpAddr) -> bool {
        self.gate.lift(source)
    }

    /// Makes a call.
    #[must_use]
    pub fn call(&self, request: CallRequest) -> Call {
        let key = LegKey(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, events) = mpsc::unbounded_channel();
        let request = Box::new(request);
        let _ = self.wishes.send(Wish::Call { key, request, events: sender });
        Call { events, give_up: self.wishes.clone(), key }
    }

    /// How the trunks are, in the order of the configuration; none when the endpoint has stopped.
    pub async fn trunks(&self) -> Vec<TrunkState> {
        let (told, trunks) = oneshot::channel();
        let _ = self.wishes.send(Wish::Trunks { told });
        trunks.await.unwrap_or_default()
    }

    /// What it holds at the moment; nothing when it has stopped.
    pub async fn holdings(&self) -> Holdings {
        let (told, holdings) = oneshot::channel();
        let _ = self.wishes.send(Wish::Holdings { told });
        holdings.await.unwrap_or_default()
    }

    /// Takes another configuration; calls that run go on as they began. What it cannot change while it runs, as media
    /// ports, it says in a sentence each, and leaves it.
    pub async fn reload(&self, config: Config) -> Vec<String> {
        let (done, reloaded) = oneshot::channel();
        let _ = self.wishes.send(Wish::Reload { config: Box::new(config), done });
        reloaded.await.unwrap_or_default()
    }

    /// Takes registrations back, releases all calls and closes the sockets; comes back when that is
    /// done, or after a few seconds.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.wishes.send(Wish::Stop { done }).is_ok() {
            let _ = stopped.await;
        }
    }
}
