//! Calls in, decisions out: what a number or a trunk is found to be able to do, as a table of calls.
#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use core::time::Duration;
use fax_base::line::Modulation as M;
use fax_base::page::{Coding, PageFormat, Resolution, Width};
use fax_store::model::{Ability as A, Origin, Profile, ProfileKey, Timestamp};
use fax_switch::policy::{Known, LearningRules, Lesson, Plan, Source, is_success, set_by_operator, testify};
use fax_switch::port::{CallResult, Degrade, Observed, T38Course, TrainingCount};
use fax_t30::{PageRecord, PageStatus};
use std::collections::HashMap;

const DAY: u64 = 86_400;
const TRUNK: &str = "carrier";

/// Profiles as the store would keep them, and a clock.
struct World {
    profiles: HashMap<ProfileKey, Profile>,
    now: Timestamp,
    rules: LearningRules,
}

fn number(n: &str) -> ProfileKey {
    ProfileKey::number("a".into(), n)
}

impl World {
    fn new() -> Self {
        let now = Timestamp::from_unix_seconds(1_793_664_000); // 2026-11-03
        World { profiles: HashMap::new(), now, rules: LearningRules::default() }
    }

    fn plan_with(&self, n: &str, degrade: Degrade) -> Plan {
        let known = Known {
            number: self.profiles.get(&number(n)).cloned(),
            trunks: self.profiles.get(&ProfileKey::trunk(TRUNK)).cloned().into_iter().collect(),
            degrade,
            now: self.now,
            rules: Some(self.rules),
        };
        known.plan(TRUNK)
    }

    fn plan(&self, n: &str) -> Plan {
        self.plan_with(n, Degrade::default())
    }

    /// A call to `n` that ends as `far` makes it of its plan.
    fn call_with(&mut self, n: &str, degrade: Degrade, far: impl Fn(&Plan) -> CallResult) -> Plan {
        let plan = self.plan_with(n, degrade);
        let result = far(&plan);
        let lesson = Lesson {
            account: "a".into(),
            number: n.to_owned(),
            trunk: TRUNK.to_owned(),
            said: testify(&plan, &result),
            plan: plan.clone(),
            delivered: is_success(&result.class),
            class: result.class.clone(),
            bit_rate: result.bit_rate,
            far_end: None,
            at: self.now,
        };
        for (key, change) in lesson.changes(&self.rules) {
            change(self.profiles.entry(key.clone()).or_insert_with(|| Profile::new(key, self.now)));
        }
        self.now = self.now.plus(Duration::from_secs(600));
        plan
    }

    fn call(&mut self, n: &str, far: impl Fn(&Plan) -> CallResult) -> Plan {
        self.call_with(n, Degrade::default(), far)
    }

    fn days(&mut self, n: u64) {
        self.now = self.now.plus(Duration::from_secs(n * DAY));
    }

    fn setting(&self, n: &str, ability: A) -> String {
        let by = (ability == A::T38).then_some(TRUNK);
        let profile = self.profiles.get(&number(n));
        profile.and_then(|p| p.about(ability, by)).map_or("-", |t| &t.setting).to_owned()
    }

    fn of_trunk(&self, ability: A) -> String {
        let profile = self.profiles.get(&ProfileKey::trunk(TRUNK));
        profile.and_then(|p| p.about(ability, None)).map_or("-", |t| &t.setting).to_owned()
    }
}

fn page(modulation: M, status: PageStatus, repeats: u32) -> PageRecord {
    PageRecord {
        index: 0,
        status,
        format: PageFormat {
            coding: Coding::Mmr,
            resolution: Resolution::Fine,
            width: Width::A4,
            ecm: true,
            min_row_time: Duration::ZERO,
        },
        modulation,
        octets: 10_000,
        duration: Duration::from_secs(10),
        repeats,
        frames_again: 0,
        quality: None,
    }
}

fn trainings(list: &[(M, u32, u32)]) -> Vec<TrainingCount> {
    list.iter().map(|&(modulation, passed, failed)| TrainingCount { modulation, passed, failed }).collect()
}

/// A call in which one page went by `modulation`, and the trainings before it.
fn result(class: &str, plan: &Plan, modulation: M, before: &[(M, u32, u32)]) -> CallResult {
    let ok = class == "ok";
    let status = if ok { PageStatus::Confirmed } else { PageStatus::Failed };
    let mut all = before.to_vec();
    all.push((modulation, 1, 0));
    let t38 = plan.step(A::T38) < 2;
    CallResult {
        class: class.into(),
        bit_rate: Some(modulation.bit_rate()),
        ecm: plan.step(A::Ecm) == 0,
        coding: Some(["T.85", "MMR", "MR", "MH"][plan.step(A::Coding).max(1)].into()),
        t38,
        observed: Observed {
            t38: if t38 { T38Course::Agreed } else { T38Course::Unasked },
            trainings: trainings(&all),
            pages: vec![page(modulation, status, 0)],
            dis: Some(Bytes::from_static(&[0, 0x76, 0xF8])),
            maker: None,
        },
        ..CallResult::default()
    }
}

fn fastest(plan: &Plan) -> M {
    if plan.v17() { M::V17At14400 } else { M::V29At9600 }
}

/// A machine at which all goes well.
fn good(plan: &Plan) -> CallResult {
    result("ok", plan, fastest(plan), &[])
}

/// V.17 is never trained there; V.29 is.
fn no_v17(plan: &Plan) -> CallResult {
    if plan.v17() {
        result("ok", plan, M::V29At9600, &[(M::V17At14400, 0, 1), (M::V17At12000, 0, 1)])
    } else {
        good(plan)
    }
}

/// V.17 is trained, but its images never get through; then V.29 is.
fn no_short_training(plan: &Plan) -> CallResult {
    if !plan.v17() {
        return good(plan);
    }
    let mut r = result("ok", plan, M::V29At9600, &[(M::V17At14400, 1, 0)]);
    r.observed.pages = vec![page(M::V29At9600, PageStatus::Confirmed, 1)];
    r
}

/// The route refuses T.38.
fn refuses_t38(plan: &Plan) -> CallResult {
    let mut r = good(plan);
    r.t38 = false;
    r.observed.t38 = if plan.step(A::T38) == 0 { T38Course::Refused(488) } else { T38Course::Unasked };
    r
}

/// The route agrees on T.38 and carries nothing; the fax goes on by audio.
fn silent_t38(plan: &Plan) -> CallResult {
    let mut r = good(plan);
    r.t38 = false;
    r.observed.t38 = if plan.step(A::T38) < 2 { T38Course::Silent } else { T38Course::Unasked };
    r
}

/// Error correction breaks down there.
fn no_ecm(plan: &Plan) -> CallResult {
    let class = if plan.step(A::Ecm) == 0 { "d.ecmphd" } else { "ok" };
    result(class, plan, fastest(plan), &[])
}

#[test]
fn what_one_call_shows_by_itself_is_right_in_the_next() {
    for (far, ability, setting) in [
        (no_v17 as fn(&Plan) -> CallResult, A::V17, "off"),
        (no_short_training, A::ShortTraining, "off"),
        (refuses_t38, A::T38, "accept-only"),
        (silent_t38, A::T38, "off"),
    ] {
        let mut w = World::new();
        assert!(w.call("+1", far).words().next().is_none(), "{ability:?}: the first call knows nothing");
        assert_eq!(w.setting("+1", ability), setting, "{ability:?}");
        let plan = w.call("+1", far);
        assert_eq!(ability.setting(plan.step(ability)), setting);
        let words = plan.words().next().unwrap();
        assert!(words.contains("learnt 2026-11-03 after 1 failure"), "{words}");
        assert!(words.contains("on probation from 2026-12-03"), "{words}");
        // Nothing else is blamed, and other numbers are not touched.
        assert_eq!(plan.entries.iter().filter(|p| p.step > 0).count(), 1, "{plan:?}");
        assert!(w.plan("+2").entries.iter().all(|p| p.step == 0));
    }
}

#[test]
fn causes_that_say_nothing_change_nothing() {
    let classes = [
        "call.busy",
        "call.noanswer",
        "call.congestion",
        "call.unallocated",
        "call.rejected",
        "call.voice",
        "call.cancelled",
        "call.timeout",
        "call.glare",
        "b.rxincapable",
        "b.refused.id",
        "b.dcnwait",
        "d.t5",
        "d.interrupt",
        "d.uncertain",
        "c.underflow",
        "l.internal",
        "l.node",
        "l.file",
        "no.such.class",
    ];
    for class in classes {
        let plan = World::new().plan("+1");
        let mut seen = result(class, &plan, M::V17At14400, &[]);
        seen.observed.t38 = T38Course::Agreed;
        assert_eq!(testify(&plan, &seen), [], "{class}");
    }
}

#[test]
fn a_failure_with_several_suspects_needs_a_second_and_a_success_acquits() {
    let give_up = |p: &Plan| result("d.ecm.give-up", p, M::V17At14400, &[]);
    let mut w = World::new();
    w.call("+1", give_up);
    assert!(w.plan("+1").entries.iter().all(|p| p.step == 0));
    w.call("+1", good);
    w.call("+1", give_up);
    assert!(w.plan("+1").entries.iter().all(|p| p.step == 0), "one is still one");
    w.call("+1", give_up);
    assert_eq!(w.setting("+1", A::Ecm), "off");
    // Weak evidence holds half as long.
    let ecm = w.profiles[&number("+1")].about(A::Ecm, None).unwrap().clone();
    assert_eq!(ecm.until.unwrap().since(ecm.since.unwrap()), w.rules.expiry / 2);
    // Old evidence does not add up with new.
    let mut w = World::new();
    w.call("+1", give_up);
    w.days(40);
    w.call("+1", give_up);
    assert_eq!(w.setting("+1", A::Ecm), "on");
}

#[test]
fn what_the_jobs_own_ladder_left_out_with_success_is_left_out_from_then_on() {
    let mut w = World::new();
    w.call("+1", no_ecm);
    assert_eq!(w.setting("+1", A::Ecm), "on");
    let retry = Degrade { ecm: Some(false), step: 1, ..Degrade::default() };
    let plan = w.call_with("+1", retry, no_ecm);
    assert_eq!(plan.entry(A::Ecm).unwrap().source, Source::Job);
    let plan = w.plan("+1");
    assert_eq!((plan.step(A::Ecm), plan.entry(A::Ecm).unwrap().source), (1, Source::Number));
    // A success without it a day later says nothing about a failure today.
    let mut w = World::new();
    w.call("+1", no_ecm);
    w.days(2);
    w.call_with("+1", retry, no_ecm);
    assert_eq!(w.setting("+1", A::Ecm), "on");
}

#[test]
fn after_its_expiry_a_decision_is_tried_once_and_comes_back_for_longer() {
    let mut w = World::new();
    w.call("+1", no_v17);
    let mut hold = 0;
    for round in 0..4 {
        assert!(!w.call("+1", no_v17).v17(), "round {round}");
        w.days(hold.max(29));
        assert!(!w.plan("+1").v17(), "round {round}: it holds");
        w.days(2 + hold.max(29) / 29);
        let plan = w.call("+1", no_v17);
        assert!(plan.v17() && plan.entry(A::V17).unwrap().probation, "round {round}");
        assert!(plan.words().next().unwrap().contains("on probation"), "{plan:?}");
        let t = w.profiles[&number("+1")].about(A::V17, None).unwrap().clone();
        let days = t.until.unwrap().since(t.since.unwrap()).as_secs() / DAY;
        assert_eq!(days, (30 << (round + 1)).min(180), "round {round}");
        hold = days - 1;
    }
    // An engaged line in between does not use the probation up, a success ends it.
    w.days(181);
    w.call("+1", |p| CallResult { class: "call.busy".into(), ..result("call.busy", p, M::V17At14400, &[]) });
    assert!(w.plan("+1").v17());
    w.call("+1", good);
    let t = w.profiles[&number("+1")].about(A::V17, None).unwrap();
    assert_eq!((t.setting.as_str(), t.origin, t.relapses), ("on", Origin::Untouched, 0));
    assert!(w.plan("+1").v17());
}

#[test]
fn after_many_deliveries_a_decision_is_tried_before_its_time() {
    let mut w = World::new();
    w.call("+1", no_v17);
    for _ in 0..w.rules.probation_after {
        assert!(!w.call("+1", no_v17).v17());
    }
    assert!(w.call("+1", no_v17).v17());
    assert!(!w.plan("+1").v17());
    // Then after twice as many.
    for _ in 0..2 * w.rules.probation_after {
        assert!(!w.call("+1", no_v17).v17());
    }
    assert!(w.plan("+1").v17());
}

#[test]
fn rates_and_codings_go_down_and_come_back_step_by_step() {
    let slow = |p: &Plan| {
        let allowed = p.max_bit_rate().unwrap_or(u32::MAX);
        let above: Vec<_> = [M::V29At9600, M::V29At7200]
            .into_iter()
            .filter(|m| m.bit_rate() <= allowed)
            .map(|m| (m, 0, 1))
            .collect();
        result("ok", p, M::V27ter4800, &above)
    };
    let mut w = World::new();
    w.call("+1", slow);
    assert_eq!(w.plan("+1").max_bit_rate(), Some(4800));
    w.days(31);
    assert_eq!(w.plan("+1").max_bit_rate(), Some(7200));
    w.call("+1", good);
    assert_eq!(w.plan("+1").max_bit_rate(), Some(7200));
    let mut w = World::new();
    let rtn = |p: &Plan| result("d.rtn", p, M::V27ter2400, &[]);
    w.call("+1", rtn);
    w.call("+1", rtn);
    assert_eq!(w.setting("+1", A::Coding), "mr");
    w.call("+1", rtn);
    w.call("+1", rtn);
    assert_eq!(w.setting("+1", A::Coding), "mh");
}

#[test]
fn what_is_locked_stays_whatever_calls_say_and_the_ladder_asks_for() {
    let mut w = World::new();
    w.call("+1", good);
    let (now, rules) = (w.now, w.rules);
    let lock = |w: &mut World, ability, step| {
        let p = w.profiles.get_mut(&number("+1")).unwrap();
        p.change(ability, None, |t| set_by_operator(t, Some(step), Some(true), now, &rules));
    };
    lock(&mut w, A::V17, 0);
    lock(&mut w, A::Ecm, 1);
    for _ in 0..3 {
        assert!(w.call("+1", no_v17).v17());
        assert_eq!(w.call("+1", good).step(A::Ecm), 1);
    }
    w.days(400);
    let ladder = Degrade { ecm: Some(true), max_bit_rate: Some(9600), step: 2, ..Degrade::default() };
    let plan = w.plan_with("+1", ladder);
    assert_eq!((plan.step(A::Ecm), plan.step(A::V17)), (1, 0));
    assert!(
        plan.words().any(|s| s.starts_with("ECM off: set 2026-11-0") && s.ends_with(", locked")),
        "{plan:?}"
    );
    // Unlocked, it is put to the test like anything else.
    let now = w.now;
    let p = w.profiles.get_mut(&number("+1")).unwrap();
    p.change(A::Ecm, None, |t| set_by_operator(t, None, Some(false), now, &rules));
    assert_eq!(w.plan("+1").step(A::Ecm), 1);
    w.days(31);
    w.call("+1", good);
    assert_eq!(w.setting("+1", A::Ecm), "on");
}

#[test]
fn the_ladder_of_the_job_comes_on_top() {
    let mut w = World::new();
    w.call("+1", silent_t38);
    let plan = |d| w.plan_with("+1", d);
    let slower = plan(Degrade { step: 2, max_bit_rate: Some(9600), ..Degrade::default() });
    assert_eq!((slower.step(A::T38), slower.v17(), slower.max_bit_rate()), (2, false, Some(9600)));
    // Audio failed: T.38 is worth another try, in this job.
    let other = plan(Degrade { step: 2, t38: Some(true), ..Degrade::default() });
    assert_eq!((other.step(A::T38), other.entry(A::T38).unwrap().source), (0, Source::Job));
    let mh = plan(Degrade { step: 3, mh_only: true, max_bit_rate: Some(4800), ..Degrade::default() });
    assert_eq!((mh.step(A::Coding), mh.max_bit_rate()), (3, Some(4800)));
}

#[test]
fn a_trunk_at_which_many_numbers_fail_starts_new_numbers_right() {
    let mut w = World::new();
    for n in 0..4 {
        assert_eq!(w.of_trunk(A::T38), "-", "{n} numbers");
        // The same number twice is one number.
        w.call(&format!("+{n}"), silent_t38);
        w.call(&format!("+{n}"), silent_t38);
    }
    assert_eq!(w.of_trunk(A::T38), "off");
    let plan = w.call("+100", silent_t38);
    assert_eq!((plan.step(A::T38), plan.entry(A::T38).unwrap().source), (2, Source::Trunk));
    let words = plan.words().next().unwrap().to_owned();
    assert!(words.starts_with("T.38 off on this trunk: learnt 2026-11-03 after it failed at 4"), "{words}");
    // Probation, and it comes back at once.
    w.days(31);
    assert_eq!(w.call("+101", silent_t38).step(A::T38), 0);
    assert_eq!(w.call("+102", silent_t38).step(A::T38), 2);
    // The next one is well: new numbers begin with the best again.
    w.days(61);
    assert_eq!(w.call("+103", good).step(A::T38), 0);
    assert_eq!(w.of_trunk(A::T38), "on");
    assert_eq!(w.plan("+104").step(A::T38), 0);
}

#[test]
fn a_trunk_at_which_it_mostly_works_is_not_blamed() {
    let mut w = World::new();
    for n in 0..12 {
        w.call(&format!("+{n}"), if n % 3 == 0 { silent_t38 } else { good });
    }
    assert_eq!(w.of_trunk(A::T38), "-");
    // A number that is known to do T.38 is not judged by the others of its trunk.
    for n in 20..40 {
        w.call(&format!("+{n}"), silent_t38);
    }
    assert_eq!(w.of_trunk(A::T38), "off");
    assert_eq!((w.plan("+1").step(A::T38), w.plan("+99").step(A::T38)), (0, 2));
    let of_trunk = &w.profiles[&ProfileKey::trunk(TRUNK)];
    assert!(of_trunk.witnesses.len() <= 6 * 20);
}

#[test]
fn the_same_calls_give_the_same_profiles() {
    let run = || {
        let mut w = World::new();
        for i in 0..200u32 {
            let far =
                [good, no_v17, silent_t38, no_ecm, refuses_t38, no_short_training][(i * 7 % 6) as usize];
            w.call(&format!("+{}", i % 9), far);
            w.days(u64::from(i % 4));
        }
        let mut all: Vec<_> = w.profiles.into_values().collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    };
    assert_eq!(run(), run());
}
