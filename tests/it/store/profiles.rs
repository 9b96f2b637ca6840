//! Profiles of logins: kept for their time, and loaded by one at a time.

use std::time::Duration;

use session_gateway::model::profile::{MAX_DETAILS_BYTES, MAX_PROFILE_TTL, Profile, UserDetails};
use session_gateway::rules::profiles::{
    FoundProfile, LoadCause, LoadClaim, LoadEnd, LoadTicket, Loaded, NewProfile,
};
use tokio::task::JoinSet;

use super::backend::{Backend, HOUR, MILLISECOND, MINUTE, START, login_id};

contract! {
    a_profile_is_fresh_and_then_stale_and_then_gone,
    a_profile_takes_the_place_of_another,
    a_removed_profile_is_gone,
    details_are_kept_to_the_byte,
    logins_share_nothing,
    one_load_at_a_time_is_granted,
    a_load_whose_lease_is_over_is_overtaken,
    a_load_that_finds_a_profile_keeps_it,
    nothing_is_loaded_while_a_profile_is_fresh,
    a_profile_that_is_put_is_not_overwritten_by_an_older_load,
    a_profile_that_is_removed_is_not_brought_back_by_an_older_load,
    a_refresh_overtakes_what_began_before,
    a_missing_user_is_told_of_for_a_time,
    a_failed_load_is_told_of_for_a_time_and_leaves_what_is_kept,
    of_many_who_want_to_load_one_may,
    nothing_is_left_of_what_is_over,
}

const LEASE: Duration = MINUTE;
const FIRST: LoadTicket = LoadTicket([1; 16]);
const SECOND: LoadTicket = LoadTicket([2; 16]);

fn details(json: &str) -> UserDetails {
    UserDetails::parse(json.as_bytes()).unwrap()
}

/// Fresh for ten minutes, then stale for an hour.
fn new(json: &str) -> NewProfile {
    NewProfile {
        details: details(json),
        ttl: 10 * MINUTE,
        stale_for: HOUR,
    }
}

async fn put(b: &Backend, login: &str, json: &str) -> Profile {
    let profiles = &b.stores.profiles;
    profiles
        .put_profile(&login_id(login), new(json))
        .await
        .unwrap()
}

async fn found(b: &Backend, login: &str) -> Option<FoundProfile> {
    let profiles = &b.stores.profiles;
    profiles.find_profile(&login_id(login)).await.unwrap()
}

async fn json(b: &Backend, login: &str) -> Option<String> {
    let found = found(b, login).await;
    found.map(|found| found.profile.details.as_json().to_owned())
}

async fn remove(b: &Backend, login: &str) -> bool {
    let profiles = &b.stores.profiles;
    profiles.remove_profile(&login_id(login)).await.unwrap()
}

async fn begin(b: &Backend, ticket: LoadTicket, cause: LoadCause) -> LoadClaim {
    let (profiles, ana) = (&b.stores.profiles, login_id("ana"));
    let claim = profiles.begin_load(&ana, ticket, cause, LEASE);
    claim.await.unwrap()
}

async fn miss(b: &Backend, ticket: LoadTicket) -> LoadClaim {
    begin(b, ticket, LoadCause::Miss).await
}

async fn end(b: &Backend, ticket: LoadTicket, loaded: Loaded) -> LoadEnd {
    let profiles = &b.stores.profiles;
    profiles
        .end_load(&login_id("ana"), ticket, loaded)
        .await
        .unwrap()
}

fn loaded(json: &str) -> Loaded {
    Loaded::Found(new(json))
}

async fn a_profile_is_fresh_and_then_stale_and_then_gone(b: &Backend) {
    assert_eq!(found(b, "ana").await, None);
    let profile = put(b, "ana", r#"{"name":"Ana"}"#).await;
    assert_eq!(profile.details, details(r#"{"name":"Ana"}"#));
    assert_eq!(profile.ttl, 10 * MINUTE);
    assert_eq!(profile.expires_at, START.plus(10 * MINUTE));
    let as_found = |stale| {
        let profile = profile.clone();
        Some(FoundProfile { profile, stale })
    };
    b.advance(10 * MINUTE - MILLISECOND);
    assert_eq!(found(b, "ana").await, as_found(false));
    b.advance(MILLISECOND);
    assert_eq!(found(b, "ana").await, as_found(true));
    b.advance(HOUR - MILLISECOND);
    assert_eq!(found(b, "ana").await, as_found(true));
    b.advance(MILLISECOND);
    assert_eq!(found(b, "ana").await, None);
}

async fn a_profile_takes_the_place_of_another(b: &Backend) {
    put(b, "ana", r#"{"v":1}"#).await;
    b.advance(MINUTE);
    let second = put(b, "ana", r#"{"v":2}"#).await;
    assert_eq!(second.expires_at, START.plus(11 * MINUTE));
    let short = NewProfile {
        ttl: MINUTE,
        stale_for: Duration::ZERO,
        ..new(r#"{"v":3}"#)
    };
    let profiles = &b.stores.profiles;
    let third = profiles.put_profile(&login_id("ana"), short).await.unwrap();
    assert_eq!(found(b, "ana").await.unwrap().profile, third);
    b.advance(MINUTE);
    assert_eq!(found(b, "ana").await, None);
}

async fn a_removed_profile_is_gone(b: &Backend) {
    assert!(!remove(b, "ana").await);
    put(b, "ana", "{}").await;
    assert!(remove(b, "ana").await);
    assert_eq!(found(b, "ana").await, None);
    assert!(!remove(b, "ana").await);
    put(b, "ana", "{}").await;
    b.advance(11 * MINUTE);
    assert!(remove(b, "ana").await, "what is stale is there");
    put(b, "ana", "{}").await;
    b.advance(2 * HOUR);
    assert!(!remove(b, "ana").await, "what is over is not");
}

async fn details_are_kept_to_the_byte(b: &Backend) {
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(MAX_DETAILS_BYTES - 8));
    for text in [
        "{}",
        r#"{"n":[9007199254740993,1e400,-0,1.10],"t":"\u0000é","o":{"a":{"b":null}}}"#,
        &long,
    ] {
        let profiles = &b.stores.profiles;
        let longest = NewProfile {
            ttl: MAX_PROFILE_TTL,
            ..new(text)
        };
        let ana = login_id("ana");
        profiles.put_profile(&ana, longest).await.unwrap();
        assert_eq!(json(b, "ana").await.as_deref(), Some(text));
        assert_eq!(found(b, "ana").await.unwrap().profile.ttl, MAX_PROFILE_TTL);
        remove(b, "ana").await;
        miss(b, FIRST).await;
        end(b, FIRST, loaded(text)).await;
        assert_eq!(json(b, "ana").await.as_deref(), Some(text));
    }
}

async fn logins_share_nothing(b: &Backend) {
    let logins = ["a", "A", "a/b", "a?b={c}", "é", "{login_id}", "..a"];
    for login in logins {
        put(b, login, &format!("{{\"of\":\"{login}\"}}")).await;
    }
    remove(b, "A").await;
    for login in logins {
        let wanted = (login != "A").then(|| format!("{{\"of\":\"{login}\"}}"));
        assert_eq!(json(b, login).await, wanted);
    }
}

async fn one_load_at_a_time_is_granted(b: &Backend) {
    assert_eq!(miss(b, FIRST).await, LoadClaim::Granted);
    assert_eq!(miss(b, SECOND).await, LoadClaim::Busy);
    assert_eq!(miss(b, FIRST).await, LoadClaim::Granted, "the same again");
    b.advance(LEASE - MILLISECOND);
    assert_eq!(miss(b, SECOND).await, LoadClaim::Busy);
    b.advance(MILLISECOND);
    assert_eq!(miss(b, SECOND).await, LoadClaim::Granted);
    assert_eq!(miss(b, FIRST).await, LoadClaim::Busy);
    assert_eq!(found(b, "ana").await, None);
}

async fn a_load_whose_lease_is_over_is_overtaken(b: &Backend) {
    miss(b, FIRST).await;
    b.advance(LEASE);
    assert_eq!(end(b, FIRST, loaded("{}")).await, LoadEnd::Overtaken);
    miss(b, SECOND).await;
    assert_eq!(end(b, FIRST, loaded("{}")).await, LoadEnd::Overtaken);
    assert_eq!(found(b, "ana").await, None);
    let LoadEnd::Kept(_) = end(b, SECOND, loaded(r#"{"v":2}"#)).await else {
        panic!("the second holds the lease");
    };
    let missing = Loaded::Missing { told_for: MINUTE };
    assert_eq!(end(b, FIRST, missing).await, LoadEnd::Overtaken);
    assert_eq!(json(b, "ana").await.as_deref(), Some(r#"{"v":2}"#));
}

async fn a_load_that_finds_a_profile_keeps_it(b: &Backend) {
    miss(b, FIRST).await;
    b.advance(MINUTE / 2);
    let LoadEnd::Kept(profile) = end(b, FIRST, loaded(r#"{"v":1}"#)).await else {
        panic!("nobody overtook it");
    };
    assert_eq!(profile.expires_at, START.plus(10 * MINUTE + MINUTE / 2));
    let kept = found(b, "ana").await.unwrap();
    assert_eq!((kept.profile.clone(), kept.stale), (profile, false));
    assert_eq!(end(b, FIRST, loaded("{}")).await, LoadEnd::Overtaken);
    assert_eq!(found(b, "ana").await, Some(kept));
}

async fn nothing_is_loaded_while_a_profile_is_fresh(b: &Backend) {
    let profile = put(b, "ana", r#"{"v":1}"#).await;
    assert_eq!(miss(b, FIRST).await, LoadClaim::Kept(profile));
    b.advance(10 * MINUTE);
    assert_eq!(miss(b, FIRST).await, LoadClaim::Granted);
    assert!(found(b, "ana").await.unwrap().stale, "it is kept meanwhile");
    end(b, FIRST, loaded(r#"{"v":2}"#)).await;
    let kept = found(b, "ana").await.unwrap();
    assert_eq!(kept.profile.details, details(r#"{"v":2}"#));
    assert_eq!(miss(b, SECOND).await, LoadClaim::Kept(kept.profile));
}

async fn a_profile_that_is_put_is_not_overwritten_by_an_older_load(b: &Backend) {
    for result in [
        loaded(r#"{"v":1}"#),
        Loaded::Missing { told_for: MINUTE },
        Loaded::Failed { told_for: MINUTE },
    ] {
        remove(b, "ana").await;
        miss(b, FIRST).await;
        let profile = put(b, "ana", r#"{"v":2}"#).await;
        assert_eq!(end(b, FIRST, result).await, LoadEnd::Overtaken);
        assert_eq!(miss(b, SECOND).await, LoadClaim::Kept(profile));
    }
}

async fn a_profile_that_is_removed_is_not_brought_back_by_an_older_load(b: &Backend) {
    put(b, "ana", r#"{"v":1}"#).await;
    b.advance(10 * MINUTE);
    miss(b, FIRST).await;
    assert!(remove(b, "ana").await);
    assert_eq!(
        end(b, FIRST, loaded(r#"{"v":1}"#)).await,
        LoadEnd::Overtaken
    );
    assert_eq!(found(b, "ana").await, None);
    assert_eq!(miss(b, FIRST).await, LoadClaim::Granted);
    assert!(!remove(b, "ana").await, "a load is no profile");
    assert_eq!(
        end(b, FIRST, loaded(r#"{"v":1}"#)).await,
        LoadEnd::Overtaken
    );
    assert_eq!(miss(b, SECOND).await, LoadClaim::Granted);
}

async fn a_refresh_overtakes_what_began_before(b: &Backend) {
    miss(b, FIRST).await;
    assert_eq!(
        begin(b, SECOND, LoadCause::Refresh).await,
        LoadClaim::Granted
    );
    assert_eq!(
        end(b, FIRST, loaded(r#"{"v":1}"#)).await,
        LoadEnd::Overtaken
    );
    assert_eq!(miss(b, FIRST).await, LoadClaim::Busy);
    end(b, SECOND, loaded(r#"{"v":2}"#)).await;
    assert_eq!(json(b, "ana").await.as_deref(), Some(r#"{"v":2}"#));
    let again = begin(b, FIRST, LoadCause::Refresh).await;
    assert_eq!(again, LoadClaim::Granted, "though it is fresh");
    let kept = found(b, "ana").await.unwrap();
    assert!(!kept.stale, "it stays fresh meanwhile");
    assert_eq!(miss(b, SECOND).await, LoadClaim::Kept(kept.profile));
    let failed = Loaded::Failed { told_for: MINUTE };
    assert_eq!(end(b, FIRST, failed).await, LoadEnd::Noted);
    assert_eq!(json(b, "ana").await.as_deref(), Some(r#"{"v":2}"#));
    let again = begin(b, FIRST, LoadCause::Refresh).await;
    assert_eq!(again, LoadClaim::Granted, "though it has just failed");
}

async fn a_missing_user_is_told_of_for_a_time(b: &Backend) {
    put(b, "ana", "{}").await;
    b.advance(10 * MINUTE);
    miss(b, FIRST).await;
    let missing = Loaded::Missing { told_for: MINUTE };
    assert_eq!(end(b, FIRST, missing.clone()).await, LoadEnd::Noted);
    assert_eq!(found(b, "ana").await, None, "what was stale goes");
    b.advance(MINUTE - MILLISECOND);
    assert_eq!(miss(b, SECOND).await, LoadClaim::Missing);
    b.advance(MILLISECOND);
    assert_eq!(miss(b, SECOND).await, LoadClaim::Granted);
    end(b, SECOND, missing).await;
    let profile = put(b, "ana", r#"{"v":2}"#).await;
    assert_eq!(miss(b, FIRST).await, LoadClaim::Kept(profile));
}

async fn a_failed_load_is_told_of_for_a_time_and_leaves_what_is_kept(b: &Backend) {
    let failed = Loaded::Failed { told_for: MINUTE };
    miss(b, FIRST).await;
    assert_eq!(end(b, FIRST, failed.clone()).await, LoadEnd::Noted);
    assert_eq!(miss(b, SECOND).await, LoadClaim::Failed);
    assert!(!remove(b, "ana").await, "a failure is no profile");
    assert_eq!(miss(b, SECOND).await, LoadClaim::Granted);
    put(b, "ana", r#"{"v":1}"#).await;
    b.advance(10 * MINUTE);
    miss(b, FIRST).await;
    assert_eq!(end(b, FIRST, failed).await, LoadEnd::Noted);
    assert_eq!(miss(b, SECOND).await, LoadClaim::Failed);
    assert!(found(b, "ana").await.unwrap().stale);
    b.advance(MINUTE);
    assert_eq!(miss(b, SECOND).await, LoadClaim::Granted);
    assert_eq!(json(b, "ana").await.as_deref(), Some(r#"{"v":1}"#));
}

async fn of_many_who_want_to_load_one_may(b: &Backend) {
    let mut claims = JoinSet::new();
    for number in 0..50 {
        let profiles = b.stores.profiles.clone();
        claims.spawn(async move {
            let (ticket, ana) = (LoadTicket([number; 16]), login_id("ana"));
            let claim = profiles.begin_load(&ana, ticket, LoadCause::Miss, LEASE);
            claim.await.unwrap()
        });
    }
    let claims = claims.join_all().await;
    let count = |wanted: &LoadClaim| claims.iter().filter(|claim| *claim == wanted).count();
    assert_eq!(
        (count(&LoadClaim::Granted), count(&LoadClaim::Busy)),
        (1, 49)
    );
}

async fn nothing_is_left_of_what_is_over(b: &Backend) {
    put(b, "ben", "{}").await;
    put(b, "eve", "{}").await;
    miss(b, FIRST).await;
    b.advance(2 * HOUR);
    put(b, "eve", r#"{"v":2}"#).await;
    b.sweep().await;
    assert_eq!(found(b, "ben").await, None);
    assert_eq!(json(b, "eve").await.as_deref(), Some(r#"{"v":2}"#));
    assert_eq!(miss(b, SECOND).await, LoadClaim::Granted);
    assert!(b.feed().await.is_empty(), "profiles tell no events");
}
