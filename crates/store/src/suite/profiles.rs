//! What was learnt of numbers and trunks.

use super::*;

fn number(account: &str, number: &str) -> ProfileKey {
    ProfileKey::number(account.into(), number)
}

/// One call more, at this time.
fn called(key: ProfileKey, at: i64) -> ProfileChange {
    let change = move |p: &mut Profile| {
        p.calls += 1;
        p.modified = t(at);
    };
    (key, Box::new(change))
}

async fn numbers(s: &S, account: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let (account, after) = (account.into(), after.map(str::to_owned));
    let found = s.profiles(ProfileQuery::Numbers { account, after, limit }).await.unwrap();
    found.iter().map(|p| p.key.parts().2.to_owned()).collect()
}

pub async fn profiles_change_and_are_read_back(s: S) {
    let key = number("a", "+1");
    assert_eq!(s.profile(&key).await.unwrap(), None);
    assert_eq!(s.change_profile(called(key.clone(), 1)).await.unwrap().calls, 1);
    let lock = |p: &mut Profile| p.change(Ability::Ecm, None, |t| t.locked = true);
    s.change_profile((key.clone(), Box::new(lock))).await.unwrap();
    let read = s.profile(&key).await.unwrap().unwrap();
    assert_eq!((read.calls, read.is_locked(), &read.key), (1, true, &key));
    // A number of that name in another account, and a trunk, are others.
    assert_eq!(s.profile(&number("b", "+1")).await.unwrap(), None);
    assert_eq!(s.profile(&ProfileKey::trunk("+1")).await.unwrap(), None);
    s.forget_profile(&key).await.unwrap();
    assert_eq!(s.profile(&key).await.unwrap(), None);
    assert_eq!(s.forget_profile(&key).await, Err(StoreError::NotFound));
    let panics = |_: &mut Profile| panic!("in a change");
    s.change_profile((key.clone(), Box::new(panics))).await.unwrap();
    assert_eq!(s.change_profile(called(key, 2)).await.unwrap().calls, 1);
}

pub async fn profiles_are_listed_by_account_in_pages(s: S) {
    for (account, name) in [("a", "+3"), ("a", "+1"), ("b", "+2"), ("a", "+2")] {
        s.change_profile(called(number(account, name), 1)).await.unwrap();
    }
    for trunk in ["y", "x"] {
        s.change_profile(called(ProfileKey::trunk(trunk), 1)).await.unwrap();
    }
    assert_eq!(numbers(&s, "a", None, 2).await, ["+1", "+2"]);
    assert_eq!(numbers(&s, "a", Some("+2"), 2).await, ["+3"]);
    assert_eq!(numbers(&s, "b", None, 2).await, ["+2"]);
    let trunks = s.profiles(ProfileQuery::Trunks).await.unwrap();
    assert_eq!(trunks.iter().map(|p| p.key.parts().2).collect::<Vec<_>>(), ["x", "y"]);
}

pub async fn profiles_change_with_the_job_or_not_at_all(s: S) {
    let id = put(&s, pending("a", "+1", 1)).await;
    lease(&s, 1, 1).await;
    let (key, trunk) = (number("a", "+1"), ProfileKey::trunk("x"));
    let lessons = || vec![called(key.clone(), 1), called(trunk.clone(), 1), called(key.clone(), 2)];
    let end = |guard, change: JobChange| s.update_job_and_profiles(&id, guard, change, vec![], lessons());
    let held = || Guard::HeldBy(node("n1"));
    let refused = end(held(), Box::new(|_| Err(StoreError::Refused("no".into())))).await;
    assert_eq!(refused, Err(StoreError::Refused("no".into())));
    let lost = end(Guard::HeldBy(node("n2")), to(JobState::Completed)).await;
    assert_eq!(lost, Err(StoreError::LeaseLost));
    assert_eq!(s.profile(&key).await.unwrap(), None);
    let job = end(held(), to(JobState::Completed)).await.unwrap();
    assert_eq!(job.state, JobState::Completed);
    // Both changes to one profile, in order.
    let read = s.profile(&key).await.unwrap().unwrap();
    assert_eq!((read.calls, read.modified), (2, t(2)));
    assert_eq!(s.profile(&trunk).await.unwrap().unwrap().calls, 1);
}

pub async fn old_profiles_are_purged_locked_ones_stay(s: S) {
    for at in 1..=6 {
        s.change_profile(called(number("a", &format!("+{at}")), at)).await.unwrap();
    }
    s.change_profile(called(ProfileKey::trunk("x"), 1)).await.unwrap();
    let lock = |locked| {
        let change = move |p: &mut Profile| p.change(Ability::V17, None, |t| t.locked = locked);
        (number("a", "+1"), Box::new(change) as Box<dyn FnOnce(&mut Profile) + Send>)
    };
    s.change_profile(lock(true)).await.unwrap();
    // By age: +2 and +3.
    assert_eq!(s.purge_profiles(t(4), 100, 10).await.unwrap(), 2);
    assert_eq!(numbers(&s, "a", None, 9).await, ["+1", "+4", "+5", "+6"]);
    // One that was used again is young.
    s.change_profile(called(number("a", "+4"), 9)).await.unwrap();
    // By count, the trunk counted: two of five go, the oldest first, in as many steps as are wanted.
    assert_eq!(s.purge_profiles(t(0), 3, 1).await.unwrap(), 1);
    assert_eq!(s.purge_profiles(t(0), 3, 10).await.unwrap(), 1);
    assert_eq!(numbers(&s, "a", None, 9).await, ["+1", "+4"]);
    s.change_profile(lock(false)).await.unwrap();
    assert_eq!(s.purge_profiles(t(2), 100, 10).await.unwrap(), 1);
    assert_eq!(numbers(&s, "a", None, 9).await, ["+4"]);
    assert_eq!(s.profiles(ProfileQuery::Trunks).await.unwrap().len(), 1);
}
