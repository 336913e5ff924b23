//! Why a call was not answered, and whether another trunk may do better: the table of [`fax_sip::call_cause`], whose classes
//! are the ones here.

pub use fax_sip::{CallCause, Course, call_cause};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::class;

    #[test]
    fn every_status_and_cause_has_a_class_that_there_is() {
        for status in 0..1000 {
            for q850 in [None, Some(status % 128)] {
                assert!(class(call_cause(Some(status), q850, true).class).is_some(), "{status}");
            }
        }
        for q850 in 0..256 {
            assert!(class(call_cause(None, Some(q850), true).class).is_some(), "{q850}");
        }
        assert!(class(call_cause(None, None, false).class).is_some());
    }
}
