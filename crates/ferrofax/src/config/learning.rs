//! `[learning]`: how calls teach about numbers and trunks, with its defaults.

use super::written::Section;
use fax_switch::policy::LearningRules;
use std::time::Duration;

/// The section; `None` when learning is off.
pub(super) fn learning(root: &Section<'_, '_>) -> Option<LearningRules> {
    let s = root.section("learning");
    let default = LearningRules::default();
    let days = |key, default: Duration| {
        s.number(key, 1, 3_650).map_or(default, |n| Duration::from_secs(n.value.saturating_mul(86_400)))
    };
    let count = |key, default: usize, most| {
        s.number(key, 1, most).map_or(default, |n| usize::try_from(n.value).unwrap_or(default))
    };
    let deliveries = s.number("probation_after", 1, 100_000).and_then(|n| u32::try_from(n.value).ok());
    let expiry = days("expiry_days", default.expiry);
    let rules = LearningRules {
        expiry,
        longest_expiry: days("longest_expiry_days", default.longest_expiry).max(expiry),
        probation_after: deliveries.unwrap_or(default.probation_after),
        trunk_numbers: count("trunk_numbers", default.trunk_numbers, 20),
        keep: days("keep_days", default.keep),
        max_profiles: count("max_profiles", default.max_profiles, 100_000_000),
    };
    let enabled = s.flag("enabled").is_none_or(|on| on.value);
    s.finish();
    enabled.then_some(rules)
}
