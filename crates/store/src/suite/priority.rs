//! Priorities: who goes first within an account, and that nothing changes between accounts.

use super::*;
use crate::model::Priority::{self, High, Low, Normal};

fn urgent(priority: Priority, account: &str, number: &str, at: i64) -> Job {
    Job { priority, ..pending(account, number, at) }
}

/// Takes jobs one by one and ends each, until nothing is due.
async fn drained(s: &S, now: i64) -> Vec<JobId> {
    let mut order = Vec::new();
    loop {
        let taken = lease(s, now, 1).await;
        let Some(id) = taken.first() else { return order };
        set(s, id, JobState::Completed).await;
        order.extend(taken);
    }
}

pub async fn the_most_urgent_of_an_account_goes_first(s: S) {
    let mut ids = Vec::new();
    for (n, (priority, at)) in
        [(Low, 1), (Normal, 2), (High, 5), (Normal, 3), (High, 4), (Low, 6)].into_iter().enumerate()
    {
        let job = urgent(priority, "a", &format!("+{n}"), at);
        let id = put(&s, job.clone()).await;
        assert_eq!(s.job(&id).await.unwrap(), Some(job));
        ids.push(id);
    }
    let first = lease(&s, 10, 2).await;
    assert_eq!(first, [ids[4].clone(), ids[2].clone()]);
    // One that is tried again is as urgent as before.
    let again: JobChange = Box::new(|j| {
        j.state = JobState::Pending;
        j.not_before = t(20);
        Ok(())
    });
    s.update_job(&first[1], Guard::Any, again, vec![]).await.unwrap();
    assert_eq!(lease(&s, 20, 1).await, [ids[2].clone()]);
    assert_eq!(lease(&s, 20, 9).await, [1, 3, 0, 5].map(|n: usize| ids[n].clone()));
    assert_eq!(s.next_due().await.unwrap(), NextDue::default());
}

pub async fn an_urgent_job_that_is_not_due_blocks_nothing(s: S) {
    for n in 0..30 {
        put(&s, urgent(High, "a", &format!("+9{n}"), 1000)).await;
    }
    let normal = put(&s, pending("a", "+1", 5)).await;
    let low = put(&s, urgent(Low, "a", "+2", 4)).await;
    let soon = put(&s, urgent(High, "a", "+3", 50)).await;
    assert_eq!(s.next_due().await.unwrap().pending, Some(t(4)));
    assert_eq!(lease(&s, 10, 9).await, [normal, low]);
    assert_eq!(s.next_due().await.unwrap().pending, Some(t(50)));
    assert!(lease(&s, 49, 9).await.is_empty());
    assert_eq!(lease(&s, 50, 9).await, [soon]);
    assert_eq!(s.next_due().await.unwrap().pending, Some(t(1000)));
}

pub async fn no_account_overtakes_another_by_priority(s: S) {
    let a = put(&s, urgent(High, "a", "+1", 3)).await;
    let b = put(&s, urgent(Low, "b", "+2", 2)).await;
    assert_eq!(drained(&s, 10).await, [b, a]);

    // An old one that waits does not carry those that overtake it past other accounts: what goes takes the first turn of
    // its account, and no other.
    let old = put(&s, pending("a", "+1", 11)).await;
    let mut hurried = Vec::new();
    for (n, at) in [30, 31, 50].into_iter().enumerate() {
        hurried.push(put(&s, urgent(High, "a", &format!("+3{n}"), at)).await);
    }
    let mut others = Vec::new();
    for (n, at) in [20, 40, 60].into_iter().enumerate() {
        others.push(put(&s, pending("b", &format!("+4{n}"), at)).await);
    }
    let wanted = [&hurried[0], &others[0], &hurried[1], &hurried[2], &others[1], &old, &others[2]];
    assert_eq!(drained(&s, 100).await.iter().collect::<Vec<_>>(), wanted);

    // Nor does it help to touch the old one again and again, or to have it wait for its number.
    let held = put(&s, pending("c", "+7", 100)).await;
    assert_eq!(lease(&s, 100, 1).await, std::slice::from_ref(&held));
    let old = put(&s, pending("a", "+7", 101)).await;
    let hurried = put(&s, urgent(High, "a", "+1", 120)).await;
    let other = put(&s, pending("b", "+2", 110)).await;
    assert_eq!(lease(&s, 200, 1).await, [hurried]);
    let touched: JobChange = Box::new(|j| {
        j.subject = Some("x".into());
        Ok(())
    });
    s.update_job(&old, Guard::Any, touched, vec![]).await.unwrap();
    assert_eq!(lease(&s, 200, 9).await, [other]);
    set(&s, &held, JobState::Completed).await;
    assert_eq!(s.next_due().await.unwrap().pending, Some(t(120)), "it has the turn of what overtook it");
    assert_eq!(lease(&s, 200, 9).await, [old]);
}

/// Its accounts have the number by their turns.
pub async fn the_most_urgent_of_an_account_gets_the_number_first(s: S) {
    let held = put(&s, pending("a", "+1", 1)).await;
    assert_eq!(lease(&s, 10, 9).await, std::slice::from_ref(&held));
    let low = put(&s, urgent(Low, "a", "+1", 2)).await;
    let normal = put(&s, pending("b", "+1", 3)).await;
    let late = put(&s, urgent(High, "b", "+1", 6)).await;
    let high = put(&s, urgent(High, "a", "+1", 5)).await;
    let future = put(&s, urgent(High, "a", "+1", 60)).await;
    assert!(lease(&s, 10, 9).await.is_empty());
    let mut order = vec![held];
    for _ in 0..4 {
        set(&s, order.last().unwrap(), JobState::Completed).await;
        let next = lease(&s, 10, 9).await;
        assert_eq!(next.len(), 1, "one call to a number");
        order.extend(next);
    }
    assert_eq!(order[1..], [high, low, late, normal]);
    set(&s, &order[4], JobState::Completed).await;
    assert!(lease(&s, 10, 9).await.is_empty());
    assert_eq!(lease(&s, 60, 9).await, [future]);
}

/// One that waits for the number and may not go now, since its account is at its limit, keeps nobody else from it.
pub async fn a_free_number_waits_for_no_account(s: S) {
    let busy = put(&s, pending("b", "+9", 1)).await;
    let held = put(&s, pending("h", "+1", 1)).await;
    assert_eq!(lease(&s, 10, 9).await.len(), 2);
    let of_b = put(&s, pending("b", "+1", 2)).await;
    let of_a = put(&s, pending("a", "+1", 3)).await;
    let second_of_a = put(&s, pending("a", "+1", 4)).await;
    assert!(lease(&s, 10, 9).await.is_empty());
    // From now on b has a line less.
    let full = || LeaseRequest { account_limits: HashMap::from([("b".into(), 1)]), ..request(10, 9) };
    set(&s, &held, JobState::Completed).await;
    for id in [of_a, second_of_a] {
        let taken = s.lease_due(full()).await.unwrap();
        assert_eq!(taken.iter().map(|j| &j.id).collect::<Vec<_>>(), [&id], "one call to a number");
        set(&s, &id, JobState::Completed).await;
    }
    assert!(s.lease_due(full()).await.unwrap().is_empty());
    set(&s, &busy, JobState::Completed).await;
    assert_eq!(lease(&s, 10, 9).await, [of_b]);
    assert_eq!(s.next_due().await.unwrap(), NextDue::default());
}

/// However many urgent faxes an account has for a number, another's has its turn.
pub async fn no_account_keeps_a_number_by_priority(s: S) {
    let mut held = put(&s, urgent(High, "b", "+1", 1)).await;
    assert_eq!(lease(&s, 1, 9).await, std::slice::from_ref(&held));
    let normal = put(&s, pending("a", "+1", 2)).await;
    for at in 3..9 {
        put(&s, urgent(High, "b", "+1", at)).await;
        assert!(lease(&s, at, 9).await.is_empty());
        set(&s, &held, JobState::Completed).await;
        let next = lease(&s, at, 9).await;
        assert_eq!(next.len(), 1);
        if next[0] == normal {
            return;
        }
        held.clone_from(&next[0]);
    }
    panic!("it never had the number");
}

pub async fn the_priority_of_a_waiting_job_can_be_changed(s: S) {
    let change = async |id: &JobId, priority| {
        let change: JobChange = Box::new(move |j| {
            j.priority = priority;
            Ok(())
        });
        let job = s.update_job(id, Guard::Any, change, vec![]).await.unwrap();
        assert_eq!((job.priority, s.job(id).await.unwrap().unwrap().priority), (priority, priority));
    };
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(put(&s, pending("a", &format!("+{n}"), n)).await);
    }
    change(&ids[2], High).await;
    change(&ids[0], Low).await;
    assert_eq!(drained(&s, 10).await, [2, 1, 3, 0].map(|n: usize| ids[n].clone()));

    // One that is parked, and one that is held.
    let held = put(&s, pending("a", "+1", 11)).await;
    let first = put(&s, pending("a", "+1", 12)).await;
    let second = put(&s, pending("a", "+1", 13)).await;
    assert_eq!(lease(&s, 20, 9).await, std::slice::from_ref(&held));
    assert!(lease(&s, 20, 9).await.is_empty());
    change(&second, High).await;
    change(&held, Low).await;
    set(&s, &held, JobState::Pending).await;
    assert_eq!(drained(&s, 20).await, [second, first, held]);
    assert_eq!(s.next_due().await.unwrap(), NextDue::default());
}

pub async fn the_most_urgent_go_along_first(s: S) {
    let lead = put(&s, pending("a", "+1", 1)).await;
    let low = put(&s, urgent(Low, "a", "+1", 2)).await;
    let parked = put(&s, pending("a", "+1", 3)).await;
    assert_eq!(lease(&s, 10, 9).await, std::slice::from_ref(&lead));
    assert!(lease(&s, 10, 9).await.is_empty());
    let high = put(&s, urgent(High, "a", "+1", 5)).await;
    let queued = put(&s, pending("a", "+1", 4)).await;
    put(&s, urgent(High, "a", "+1", 50)).await;
    put(&s, urgent(High, "b", "+1", 2)).await;
    put(&s, urgent(High, "a", "+2", 2)).await;
    let beside = async |limit| {
        let taken = s.lease_beside(&lead, &node("n1"), t(10), t(70), limit).await.unwrap();
        taken.into_iter().map(|j| j.id).collect::<Vec<_>>()
    };
    assert_eq!(beside(2).await, [high, parked]);
    assert_eq!(beside(9).await, [queued, low]);
    assert!(beside(9).await.is_empty());
}

/// A job that waits, as the model sees it.
#[derive(Clone)]
struct Waiting {
    id: JobId,
    account: usize,
    priority: Priority,
    at: i64,
    turn: i64,
}

const LINES: usize = 3;

/// The queue as it is meant: lists that are searched from end to end.
#[derive(Default)]
struct Model {
    waiting: Vec<Waiting>,
    held: Vec<(JobId, usize)>,
}

impl Model {
    fn is_full(&self, account: usize) -> bool {
        self.held.iter().filter(|(_, a)| *a == account).count() >= LINES
    }

    fn first_turn(&self, account: usize) -> Option<usize> {
        let of = |w: &Waiting| w.account == account;
        let found = self.waiting.iter().enumerate().filter(|(_, w)| of(w));
        found.min_by_key(|(_, w)| (w.turn, w.id.clone())).map(|(n, _)| n)
    }

    fn lease(&mut self, now: i64, limit: usize) -> Vec<JobId> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            let heads = (0..4).filter(|a| !self.is_full(*a)).filter_map(|a| self.first_turn(a));
            let head = heads.min_by_key(|n| (self.waiting[*n].turn, self.waiting[*n].account));
            let Some(head) = head.filter(|n| self.waiting[*n].turn <= now) else { break };
            let account = self.waiting[head].account;
            let due = |w: &Waiting| w.account == account && w.at <= now;
            let goes = self.waiting.iter().enumerate().filter(|(_, w)| due(w));
            let (goes, _) = goes.min_by_key(|(_, w)| (w.priority, w.at, w.id.clone())).unwrap();
            let turn = self.waiting[goes].turn;
            self.waiting[head].turn = turn;
            let gone = self.waiting.remove(goes);
            self.held.push((gone.id.clone(), account));
            taken.push(gone.id);
        }
        taken
    }

    fn next_due(&self, now: i64) -> Option<i64> {
        let heads = (0..4).filter_map(|a| Some((a, self.waiting[self.first_turn(a)?].turn)));
        heads.filter(|(a, turn)| !(self.is_full(*a) && *turn <= now)).map(|(_, turn)| turn).min()
    }
}

/// Jobs of four accounts come, go, come back, are changed and called off by chance; who goes is as in the model.
pub async fn the_order_is_that_of_a_simple_model(s: S) {
    let mut chance = 7u64;
    let mut below = move |n: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % n
    };
    let mut model = Model::default();
    let mut now = 100;
    let mut numbers = 0;
    for step in 0..600 {
        now += i64::try_from(below(3)).unwrap();
        let at = now - 20 + i64::try_from(below(40)).unwrap();
        let priority = Priority::ALL[usize::try_from(below(3)).unwrap()];
        let some =
            |list: usize, lot: u64| Some(usize::try_from(lot).unwrap() % list.max(1)).filter(|_| list > 0);
        match below(10) {
            0..4 => {
                numbers += 1;
                let account = usize::try_from(below(4)).unwrap();
                let job = urgent(priority, &format!("a{account}"), &format!("+{numbers}"), at);
                model.waiting.push(Waiting { id: job.id.clone(), account, priority, at, turn: at });
                put(&s, job).await;
            }
            4..7 => {
                let limit = usize::try_from(below(3)).unwrap() + 1;
                let request = LeaseRequest {
                    default_account_limit: u32::try_from(LINES).unwrap(),
                    ..request(now, limit)
                };
                let taken: Vec<_> = s.lease_due(request).await.unwrap().into_iter().map(|j| j.id).collect();
                assert_eq!(taken, model.lease(now, limit), "step {step}");
                if taken.len() < limit {
                    // A full account may be looked at once more; too late, or again and again, nobody is.
                    let next = s.next_due().await.unwrap().pending;
                    assert!(next.is_none_or(|at| at > t(now)), "step {step}: {next:?}");
                    let wanted = model.next_due(now).map(t);
                    assert!(wanted.is_none_or(|w| next.is_some_and(|n| n <= w)), "step {step}: {next:?}");
                }
            }
            // It ends, or is tried again.
            7 => {
                let Some(n) = some(model.held.len(), below(9)) else { continue };
                let (id, account) = model.held.remove(n);
                if below(2) == 0 {
                    set(&s, &id, JobState::Completed).await;
                    continue;
                }
                let again: JobChange = Box::new(move |j| {
                    j.state = JobState::Pending;
                    j.not_before = t(at);
                    Ok(())
                });
                let job = s.update_job(&id, Guard::Any, again, vec![]).await.unwrap();
                model.waiting.push(Waiting { id, account, priority: job.priority, at, turn: at });
            }
            8 => {
                let Some(n) = some(model.waiting.len(), below(99)) else { continue };
                let moved = below(2) == 0;
                let changed = &mut model.waiting[n];
                changed.priority = priority;
                if moved && changed.at != at {
                    (changed.at, changed.turn) = (at, at);
                }
                let change: JobChange = Box::new(move |j| {
                    j.priority = priority;
                    if moved {
                        j.not_before = t(at);
                    }
                    Ok(())
                });
                s.update_job(&changed.id, Guard::Any, change, vec![]).await.unwrap();
            }
            _ => {
                let Some(n) = some(model.waiting.len(), below(99)) else { continue };
                set(&s, &model.waiting.remove(n).id, JobState::Cancelled).await;
            }
        }
    }
    let held = std::mem::take(&mut model.held);
    for (id, _) in held {
        set(&s, &id, JobState::Completed).await;
    }
    let left = model.waiting.len();
    assert_eq!(drained(&s, now + 100).await.len(), left, "none is forgotten");
    assert_eq!(s.next_due().await.unwrap(), NextDue::default());
}
