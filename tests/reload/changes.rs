//! Changes through the control plane: comments kept, everything recorded, nobody overwritten unseen.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use figway::reload::{ChangeError, Wish};
use serde_json::{Value, json};

use crate::site::{BY_EVENT, MEMBER, REVIEWS, Site, alice, leftovers, members};

#[tokio::test]
async fn a_change_is_written_published_and_recorded_when_it_returns() {
    let site = Site::new();
    fs::set_permissions(site.path("flags/member.yaml"), fs::Permissions::from_mode(0o640)).expect("permissions");
    let gateway = site.start();
    let seen = gateway.revision();
    let changed = gateway.change("member-api", json!({"percent": 12.5, "killed": true}), seen).await.expect("changed");
    assert_eq!((changed.revision.0, gateway.revision()), (seen + 1, seen + 1));
    assert_eq!((&changed.flag["percent"], &changed.flag["killed"]), (&json!(12.5), &json!(true)));
    assert_eq!(gateway.flag("member-api"), "killed");
    assert_eq!(site.read("flags/member.yaml"), MEMBER.replace("percent: 10\n", "percent: 12.5\n  killed: true\n"));
    assert_eq!(site.read("flags/shop.yaml"), REVIEWS);
    let mode = fs::metadata(site.path("flags/member.yaml")).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(leftovers(&site.path("flags")).is_empty());

    let history = gateway.writer.history(&"member-api".into());
    let entry = &history[0];
    assert_eq!((entry.actor.as_str(), entry.reason.as_str(), entry.revision.0), ("alice", "a test", seen + 1));
    assert_eq!((&entry.before["percent"], &entry.after["percent"]), (&json!(10), &json!(12.5)));
    assert_eq!(site.read("data/flag-history.jsonl").lines().count(), 1);
}

#[tokio::test]
async fn undo_is_a_new_change_and_undoing_it_does_it_again() {
    let site = Site::new();
    let gateway = site.start();
    let first = gateway.change("member-api", json!({"stage": "new", "description": "x"}), gateway.revision()).await;
    let first = first.expect("changed").revision;
    let undone = gateway.undo("member-api", first.0).await.expect("undone");
    assert_eq!(gateway.flag("member-api"), "canary:1000");
    assert_eq!(site.read("flags/member.yaml"), MEMBER, "comments and all");
    let again = gateway.undo("member-api", undone.revision.0).await.expect("redone");
    assert_eq!((gateway.flag("member-api").as_str(), &again.flag["description"]), ("new:1000", &json!("x")));
    let undoes: Vec<_> = gateway.writer.history(&"member-api".into()).iter().map(|entry| entry.undoes).collect();
    assert_eq!(undoes, [Some(undone.revision), Some(first), None]);
}

#[tokio::test]
async fn undo_without_a_change_says_so() {
    let site = Site::new();
    let gateway = site.start();
    assert!(matches!(gateway.undo("member-api", gateway.revision()).await, Err(ChangeError::Conflict(_))));
    site.write("flags/new.yaml", "banner: {kind: switch, state: on}\n");
    gateway.says("banner", "on", BY_EVENT).await;
    let refused = gateway.undo("banner", gateway.revision()).await.expect_err("nothing before");
    assert!(refused.to_string().contains("remove it from flags/new.yaml"), "{refused}");
}

#[tokio::test]
async fn of_two_writers_the_second_sees_what_the_first_did() {
    let site = Site::new();
    let gateway = site.start();
    let seen = gateway.revision();
    let (one, two) = tokio::join!(
        gateway.change("member-api", json!({"percent": 20}), seen),
        gateway.change("member-api", json!({"percent": 30}), seen),
    );
    let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
    let won = won.expect("one of them wins");
    let Err(ChangeError::Stale { current, winner: Some(winner) }) = lost else { panic!("{lost:?}") };
    assert_eq!(
        (current, winner.revision, &winner.after["percent"]),
        (won.revision, won.revision, &won.flag["percent"])
    );
    assert_eq!(gateway.writer.history(&"member-api".into()).len(), 1);
}

#[tokio::test]
async fn a_change_of_another_flag_is_in_nobodys_way() {
    let site = Site::new();
    let gateway = site.start();
    let seen = gateway.revision();
    gateway.change("reviews-offline", json!({"state": "on"}), seen).await.expect("changed");
    gateway.change("member-api", json!({"percent": 20}), seen).await.expect("nobody changed this one");
    let unknown = gateway.change("member-api", json!({"percent": 30}), seen + 100).await;
    assert!(matches!(unknown, Err(ChangeError::Stale { winner: None, .. })), "a revision that never was: {unknown:?}");
}

#[tokio::test]
async fn a_hand_edit_that_is_not_loaded_yet_is_loaded_first_and_wins() {
    let site = Site::new();
    let gateway = site.start_rescanning(std::time::Duration::from_secs(3600));
    let seen = gateway.revision();
    site.write("flags/member.yaml", &MEMBER.replace("10", "77"));
    let lost = gateway.change("member-api", json!({"percent": 20}), seen).await;
    let Err(ChangeError::Stale { winner: Some(winner), .. }) = lost else { panic!("{lost:?}") };
    assert_eq!((winner.actor.as_str(), winner.reason.as_str()), ("file", "edited in flags/member.yaml"));
    assert_eq!((&winner.before["percent"], &winner.after["percent"]), (&json!(10), &json!(77)));
    assert_eq!(site.read("flags/member.yaml"), MEMBER.replace("10", "77"));
    gateway.change("reviews-offline", json!({"state": "on"}), seen).await.expect("the other flag is as it was");
}

#[tokio::test]
async fn a_hand_edit_in_the_very_moment_of_writing_wins_too() {
    let site = Site::new();
    let gateway = site.start_rescanning(std::time::Duration::from_secs(3600));
    let by_hand = MEMBER.replace("10", "77");
    site.meanwhile_write("flags/member.yaml", &by_hand);
    let lost = gateway.change("member-api", json!({"percent": 20}), gateway.revision()).await;
    let Err(ChangeError::Stale { winner: Some(winner), .. }) = lost else { panic!("{lost:?}") };
    assert_eq!((winner.actor.as_str(), &winner.after["percent"]), ("file", &json!(77)));
    assert_eq!((site.read("flags/member.yaml"), gateway.flag("member-api")), (by_hand, "canary:7700".into()));
    assert!(!site.path("data/flag-change.json").exists());
}

#[tokio::test]
async fn another_flag_edited_by_hand_at_the_same_moment_in_the_same_file_is_not_lost() {
    let site = Site::new();
    let gateway = site.start_rescanning(std::time::Duration::from_secs(3600));
    site.meanwhile_write("flags/member.yaml", &format!("{MEMBER}banner: {{kind: switch, state: on}}\n"));
    gateway.change("member-api", json!({"percent": 20}), gateway.revision()).await.expect("tried again");
    assert_eq!((gateway.flag("member-api").as_str(), gateway.flag("banner").as_str()), ("canary:2000", "on"));
}

#[tokio::test]
async fn a_change_that_does_not_load_after_all_is_taken_back() {
    let site = Site::new();
    let gateway = site.start_rescanning(std::time::Duration::from_secs(3600));
    site.meanwhile_write("flags/shop.yaml", "reviews-offline: [\n");
    let refused = gateway.change("member-api", json!({"percent": 20}), gateway.revision()).await;
    let Err(ChangeError::Invalid(problems)) = refused else { panic!("{refused:?}") };
    assert!(problems.concat().contains("shop.yaml"), "{problems:?}");
    assert_eq!((site.read("flags/member.yaml").as_str(), gateway.flag("member-api").as_str()), (MEMBER, "canary:1000"));
    site.write("flags/shop.yaml", REVIEWS);
    assert!(gateway.trigger.reload_now().await.success);
    assert!(gateway.writer.recent(10).is_empty() && !site.path("data/flag-change.json").exists());
}

#[tokio::test]
async fn what_is_not_valid_never_reaches_the_disk() {
    let site = Site::new();
    let gateway = site.start();
    let seen = gateway.revision();
    for (changes, complaint) in [
        (json!({"stage": "canari"}), "\"canari\" is not a stage"),
        (json!({"percent": 101}), "percentage"),
        (json!({"colour": "red"}), "\"colour\" is no key of a flag"),
        (json!({"colour": null}), "\"colour\" is no key of a flag"),
        // All that is wrong, not only what is found first.
        (json!({"colour": "red", "percent": 101}), "percentage"),
        (json!({"stage": null}), "stage is missing"),
        (json!({}), "empty"),
        (json!({"kind": "a\nb: c\n"}), "kind is migration or switch"),
    ] {
        match gateway.change("member-api", changes.clone(), seen).await {
            Err(ChangeError::Invalid(problems)) => assert!(problems.concat().contains(complaint), "{problems:?}"),
            other => panic!("{changes}: {other:?}"),
        }
    }
    for reason in ["", "  \n", "bell \u{7}", &"x".repeat(1_001)] {
        let wish = Wish { reason: reason.into(), ..alice("member-api", seen) };
        let refused = gateway.writer.clone().change(wish, members(json!({"percent": 5}))).await;
        assert!(matches!(refused, Err(ChangeError::Invalid(_))), "{reason:?}");
    }
    assert!(matches!(gateway.change("none", json!({"percent": 5}), seen).await, Err(ChangeError::NotFound(_))));
    assert_eq!((site.read("flags/member.yaml").as_str(), gateway.revision()), (MEMBER, seen));
    assert!(gateway.handle.status().success && gateway.writer.recent(10).is_empty());
}

#[tokio::test]
async fn a_change_that_changes_nothing_writes_and_records_nothing() {
    let site = Site::new();
    let gateway = site.start();
    let seen = gateway.revision();
    let same = gateway.change("member-api", json!({"percent": 10.0, "killed": false}), seen).await.expect("fine");
    assert_eq!((same.revision.0, site.read("flags/member.yaml").as_str()), (seen, MEMBER));
    assert!(gateway.writer.recent(10).is_empty());
}

#[tokio::test]
async fn files_that_are_bad_at_the_moment_are_not_written() {
    let site = Site::new();
    let gateway = site.start();
    site.write("flags/shop.yaml", "reviews-offline: [\n");
    let refused = gateway.change("member-api", json!({"percent": 5}), gateway.revision()).await;
    let Err(ChangeError::Conflict(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("shop.yaml:3:7"), "{why}");
    assert_eq!(site.read("flags/member.yaml"), MEMBER);
}

#[tokio::test]
async fn links_and_read_only_files_are_left_to_their_owners() {
    let site = Site::new();
    fs::create_dir(site.path("flags/..data")).expect("folder");
    fs::rename(site.path("flags/member.yaml"), site.path("flags/..data/member.yaml")).expect("moved");
    symlink("..data/member.yaml", site.path("flags/member.yaml")).expect("link");
    fs::set_permissions(site.path("flags/shop.yaml"), fs::Permissions::from_mode(0o444)).expect("permissions");
    let gateway = site.start();
    let seen = gateway.revision();
    for (key, changes, complaint) in [
        ("member-api", json!({"percent": 5}), "symbolic link"),
        ("reviews-offline", json!({"state": "on"}), "read-only"),
    ] {
        match gateway.change(key, changes, seen).await {
            Err(ChangeError::Conflict(why)) => assert!(why.contains(complaint), "{why}"),
            other => panic!("{key}: {other:?}"),
        }
    }
    assert!(fs::symlink_metadata(site.path("flags/member.yaml")).expect("metadata").is_symlink());
}

#[tokio::test]
async fn edits_by_hand_are_recorded_too() {
    let site = Site::new();
    let gateway = site.start();
    site.write("flags/new.yaml", "banner: {kind: switch, state: on}\n");
    gateway.says("banner", "on", BY_EVENT).await;
    fs::remove_file(site.path("flags/new.yaml")).expect("removed");
    gateway.says("banner", "", BY_EVENT).await;
    // A new comment is no change of the flag.
    site.write("flags/shop.yaml", &format!("# comment\n{REVIEWS}"));
    site.rename_over("flags/member.yaml", &MEMBER.replace("10", "60"));
    gateway.says("member-api", "canary:6000", BY_EVENT).await;
    let history = gateway.writer.history(&"banner".into());
    assert_eq!((history.len(), &history[0].after, &history[1].before), (2, &Value::Null, &Value::Null));
    assert!(gateway.writer.history(&"reviews-offline".into()).is_empty());
    assert_eq!(gateway.writer.recent(1)[0].key.as_str(), "member-api");
}
