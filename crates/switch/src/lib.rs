//! fax-switch: accounts, faxboxes and jobs; decides what is sent, received and tried again.
//!
//! [`Service`] is what fronts call. It keeps everything in a [`fax_store::Store`] and asks the outside
//! through [`port`]s: a [`port::Dialler`] makes calls, a [`port::Converter`] makes documents into fax
//! pages, a [`port::Fetcher`] gets documents by URL. [`policy`] says what follows a failure.

mod attempt;
mod call;
mod conversion;
pub mod directory;
mod dispatcher;
mod erasure;
pub mod event;
mod finish;
mod guard;
pub mod hooks;
mod lesson;
pub mod metrics;
pub mod number;
pub mod policy;
pub mod port;
pub mod retention;
pub mod routing;
mod running;
pub mod service;
mod sweep;

pub use directory::{Account, Directory, Faxbox, Key, Password, User};
pub use event::{EventSubject, JobEvent, Stage};
pub use guard::DeadNumberRules;
pub use service::{
    Attachment, Decision, Format, IncomingCall, NO_HEADER, NewDocument, NewJob, ONCE_FOR, Once, Ports,
    REFUSED_MAIL, ReceivedFax, Receiving, Reception, RefusedMail, ReloadRequest, Service, ServiceConfig,
    ServiceError, SubmitError, TollPass, TraitSetting, Which,
};
