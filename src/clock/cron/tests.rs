use super::*;

fn zone(name: &str) -> Zone {
    Zone::named(name).expect("a zone")
}

fn utc(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("RFC 3339")
}

/// The first `count` beginnings after a moment, as the clocks there show them.
fn beginnings(cron: &str, place: &str, after: &str, count: usize) -> Vec<String> {
    let (cron, zone) = (Cron::parse(cron).expect(cron), zone(place));
    let mut at = utc(after);
    (0..count)
        .map(|_| {
            at = cron.next(&zone, at).expect("comes again");
            zone.show(at)
        })
        .collect()
}

#[test]
fn each_field_narrows_the_times_down() {
    let from = "2026-11-20T00:00:00Z";
    for (cron, expected) in [
        ("0 2 * * SUN", ["2026-11-22T02:00:00+09:00", "2026-11-29T02:00:00+09:00"]),
        ("30 4 1 * *", ["2026-12-01T04:30:00+09:00", "2027-01-01T04:30:00+09:00"]),
        ("*/20 9 * * *", ["2026-11-20T09:20:00+09:00", "2026-11-20T09:40:00+09:00"]),
        ("0 0 1 jan *", ["2027-01-01T00:00:00+09:00", "2028-01-01T00:00:00+09:00"]),
        ("5,10 23 * * 1-5", ["2026-11-20T23:05:00+09:00", "2026-11-20T23:10:00+09:00"]),
        ("0 3 * * fri-sun", ["2026-11-21T03:00:00+09:00", "2026-11-22T03:00:00+09:00"]),
        ("0 3 * * 7", ["2026-11-22T03:00:00+09:00", "2026-11-29T03:00:00+09:00"]),
        ("0 12 29 2 *", ["2028-02-29T12:00:00+09:00", "2032-02-29T12:00:00+09:00"]),
        // Both days restricted: either will do.
        ("0 0 13 * FRI", ["2026-11-27T00:00:00+09:00", "2026-12-04T00:00:00+09:00"]),
        // A star in front restricts by both.
        ("0 0 */2 * FRI", ["2026-11-27T00:00:00+09:00", "2026-12-11T00:00:00+09:00"]),
    ] {
        assert_eq!(beginnings(cron, "Asia/Seoul", from, 2), expected, "{cron}");
    }
}

#[test]
fn a_beginning_that_the_clocks_skip_comes_when_they_are_put_forward_and_only_once() {
    assert_eq!(
        beginnings("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 2),
        ["2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"]
    );
    assert_eq!(
        beginnings("0,15,30 2,3 * * *", "America/New_York", "2026-03-08T06:59:00Z", 3),
        ["2026-03-08T03:00:00-04:00", "2026-03-08T03:15:00-04:00", "2026-03-08T03:30:00-04:00"]
    );
}

#[test]
fn a_beginning_that_the_clocks_repeat_comes_the_first_time_only() {
    assert_eq!(
        beginnings("30 1 * * *", "America/New_York", "2026-11-01T00:00:00Z", 2),
        ["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"]
    );
    // Asked between the two: the second is none.
    assert_eq!(beginnings("30 1 * * *", "America/New_York", "2026-11-01T06:00:00Z", 1), ["2026-11-02T01:30:00-05:00"]);
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_the_mend() {
    for (text, expected) in [
        ("0 2 * *", "it has 4 fields instead of five"),
        ("", "it has 0 fields"),
        ("0 2 * * SUN 2026", "it has 6 fields"),
        ("60 2 * * *", "character 1, minute: \"60\" is none of 0 to 59"),
        ("0  24 * * *", "character 4, hour: \"24\" is none of 0 to 23"),
        ("0 2 * * SUNDAY", "character 9, day of the week: \"SUNDAY\" is none of 0 to 7, or SUN MON"),
        ("0 2 1,0 * *", "character 7, day of the month: \"0\" is none of 1 to 31"),
        ("0 2 * 13 *", "character 7, month: \"13\""),
        ("0 5-2 * * *", "the range 5-2 goes down; write two ranges, such as 5-23,0-2"),
        ("5/10 * * * *", "write a range such as 5-59/2"),
        ("*/0 * * * *", "needs a step from 1 to 59"),
        ("*/ * * * *", "needs a step"),
        ("+5 * * * *", "\"+5\" is none of"),
        ("1,,2 * * * *", "character 3, minute: \"\" is none of"),
        ("1- * * * *", "\"\" is none of"),
        ("ünf * * * *", "character 1"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
    ] {
        let error = Cron::parse(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
