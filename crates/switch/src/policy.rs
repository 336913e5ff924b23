//! What a failure means and what follows it: classes, sentences, retry policies (T.30 §5, TSB-85; RFC 3261 §21, Q.850).

mod classes;
mod schedule;

pub use classes::{Class, class, class_of_cause, class_of_sip, is_success};
pub use schedule::{RetryTable, Schedule, Verdict, degrade, judge};
