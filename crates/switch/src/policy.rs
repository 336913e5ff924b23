//! What a failure means and what follows it: classes, sentences, retry policies (T.30 §5, TSB-85; RFC 3261 §21, Q.850); what
//! calls teach about numbers and trunks; and what may be called and spent.

mod budget;
mod causes;
mod classes;
mod hours;
mod learning;
mod plan;
mod reschedule;
mod schedule;
mod testimony;
mod trunks;

pub use budget::{
    Budget, Budgets, DialRules, Limit, SavedBudgets, Scope, Toll, TollCall, TollRefusal, TollRules,
};
pub use causes::{CallCause, Course, call_cause};
pub use classes::{Class, class, class_of_cause, is_success};
pub use hours::SendHours;
pub use learning::{LearningRules, Lesson, is_on_probation, set_by_operator};
pub use plan::{Known, Plan, Planned, Source};
pub use reschedule::{RESCHEDULE_FIELDS, RescheduleRule, reschedule, switch_cause};
pub use schedule::{RetryTable, Schedule, Verdict, degrade, judge};
pub use testimony::{Says, Testimony, testify};
pub use trunks::{AccountRoute, CallerRules, Prefix, TrunkRoute, TrunkRouting};
