//! Attempts: every state they can be in, at every time that makes a difference.

use super::*;

/// A situation: its name, the attempt, how many seconds after its end.
type Situation = (&'static str, StoredAttempt, u64);

fn charge(state: AttemptState) -> StoredAttempt {
    attempt(Operation::Charge, state)
}

fn late_capture(state: AttemptState) -> StoredAttempt {
    let voiding = (state == AttemptState::Resolving).then_some(VoidReason::LateCapture);
    StoredAttempt { late_capture: Some(state), voiding, ..charge(AttemptState::Voided) }
}

/// How long anything is watched, in seconds.
fn watched() -> u64 {
    (WATCH[WATCH.len() - 1] + WATCH_MARGIN).as_secs()
}

/// Where there is nothing to be done.
fn settled() -> Vec<Situation> {
    use AttemptState as A;
    let undone = [A::Planned, A::Succeeded, A::Declined, A::SoftDeclined, A::NotProcessed, A::Manual];
    let settled = undone.map(|state| (state.as_str(), charge(state), QUIET));
    let rest =
        [("voided long ago", charge(A::Voided), watched() + 1), ("late, for a person", late_capture(A::Manual), QUIET)];
    settled.into_iter().chain(rest).collect()
}

/// Where there is.
fn situations() -> Vec<Situation> {
    use AttemptState as A;
    let voiding = |state, reason| StoredAttempt { voiding: Some(reason), ..charge(state) };
    vec![
        ("unknown, early", charge(A::Unknown), EARLY),
        ("unknown, quiet", charge(A::Unknown), QUIET),
        ("unknown, too long", charge(A::Unknown), LATE),
        ("voiding, early", voiding(A::Resolving, VoidReason::Unresolved), EARLY),
        ("voiding, quiet", voiding(A::Resolving, VoidReason::Unresolved), QUIET),
        ("voiding, too long", voiding(A::Resolving, VoidReason::Unresolved), LATE),
        ("prepared", attempt(Operation::Prepare, A::Prepared), QUIET),
        ("prepared, too long", attempt(Operation::Prepare, A::Prepared), LATE - 1),
        ("prepare lost, early", attempt(Operation::Prepare, A::Unknown), EARLY),
        ("prepare lost, quiet", attempt(Operation::Prepare, A::Unknown), QUIET),
        ("confirm lost, early", attempt(Operation::Confirm, A::Unknown), EARLY),
        ("confirm lost, quiet", attempt(Operation::Confirm, A::Unknown), QUIET),
        ("given up, early", voiding(A::Resolving, VoidReason::Cancelled), EARLY),
        ("given up, quiet", voiding(A::Resolving, VoidReason::Expired), QUIET),
        ("given up, too long", voiding(A::Resolving, VoidReason::Expired), LATE),
        ("confirm undone", attempt(Operation::Confirm, A::NotProcessed), QUIET),
        ("left something", voiding(A::NotProcessed, VoidReason::Unresolved), QUIET),
        ("left it too long", voiding(A::NotProcessed, VoidReason::Unresolved), LATE),
        ("voided", charge(A::Voided), QUIET),
        ("late capture", late_capture(A::Resolving), QUIET),
        ("late capture, old", late_capture(A::Resolving), LATE + watched()),
        ("late, taken back", late_capture(A::Voided), QUIET),
    ]
}

fn lines(terms: &Terms, heard: fn(Verdict) -> Heard) -> Vec<String> {
    let line = |(name, attempt, after): Situation| {
        let payment = payment(attempt);
        let follows = verdicts().into_iter().map(|found| next(&payment, Item::Attempt(1), terms, after, heard(found)));
        line(name, follows)
    };
    situations().into_iter().map(line).collect()
}

/// Providers that can do less, or are not to be asked, in the order of the columns.
fn variants() -> [Terms; 6] {
    let blind = Terms { looks: false, on_unknown: OnUnknown::Hold, ..terms() };
    let no_way = Terms { void: None, cancel: None, ..blind.clone() };
    let harmless = Terms { prepare_is_harmless: true, ..no_way.clone() };
    let gone = Terms { is_known: false, on_unknown: OnUnknown::Resolve, ..no_way.clone() };
    [terms(), Terms { on_unknown: OnUnknown::Hold, ..terms() }, blind, no_way, harmless, gone]
}

#[test]
fn what_is_not_asked_about_yet_is_asked_about_where_that_is_possible() {
    let lines = situations().into_iter().map(|(name, attempt, after)| {
        let payment = payment(attempt);
        let follows =
            variants().into_iter().map(|terms| next(&payment, Item::Attempt(1), &terms, after, Heard::Nothing));
        line(name, follows)
    });
    check(UNHEARD, &lines.collect::<Vec<_>>());
}

#[test]
fn what_a_look_finds_decides() {
    check(FOUND, &lines(&terms(), Heard::Found));
}

#[test]
fn what_is_said_to_a_void_is_made_sure_of() {
    check(SAID, &lines(&terms(), Heard::Said));
    check(SAID_UNSEEN, &lines(&Terms { looks: false, ..terms() }, Heard::Said));
}

#[test]
fn a_look_after_a_void_decides() {
    check(TAKEN_BACK, &lines(&terms(), Heard::SaidVoidedThenFound));
    check(PERHAPS_TAKEN_BACK, &lines(&terms(), Heard::SaidNothingThenFound));
}

/// Everything that can be heard about one attempt.
fn everything() -> Vec<Heard> {
    let each = |heard: fn(Verdict) -> Heard| verdicts().map(heard);
    let all = [Heard::Found, Heard::Said, Heard::SaidVoidedThenFound, Heard::SaidNothingThenFound].map(each);
    std::iter::once(Heard::Nothing).chain(all.into_iter().flatten()).collect()
}

#[test]
fn what_is_settled_is_let_alone_whatever_is_heard() {
    for (name, attempt, after) in settled() {
        let payment = payment(attempt);
        for (terms, heard) in variants().iter().flat_map(|terms| everything().into_iter().map(move |it| (terms, it))) {
            assert_eq!(next(&payment, Item::Attempt(1), terms, after, heard), "rest", "{name}");
        }
    }
}

#[test]
fn an_interrupted_call_is_unknown_whatever_is_heard() {
    let interrupted = payment(charge(AttemptState::Intent));
    for heard in everything() {
        assert_eq!(next(&interrupted, Item::Attempt(1), &terms(), EARLY, heard), "=unknown");
    }
}

#[test]
fn every_state_stands_in_a_table() {
    let known: Vec<_> = situations().into_iter().chain(settled()).map(|(_, attempt, _)| attempt.state).collect();
    for state in AttemptState::ALL {
        assert!(known.contains(state) || *state == AttemptState::Intent, "{state:?}");
    }
}

#[test]
fn what_the_gateway_confirms_by_itself_is_no_clients_to_confirm() {
    let lost = payment(attempt(Operation::Confirm, AttemptState::Unknown));
    let itself = Terms { confirms_itself: true, prepare_is_harmless: true, ..terms() };
    let [_, prepared, ..] = verdicts();
    assert_eq!(next(&lost, Item::Attempt(1), &itself, QUIET, Heard::Found(prepared)), "begin void");
}

#[test]
fn a_prepare_whose_caller_is_gone_is_undone_if_it_can_charge_nobody() {
    let interrupted = payment(attempt(Operation::Prepare, AttemptState::Intent));
    let harmless = Terms { prepare_is_harmless: true, ..terms() };
    assert_eq!(next(&interrupted, Item::Attempt(1), &harmless, EARLY, Heard::Nothing), "=not_processed");
    assert_eq!(next(&interrupted, Item::Attempt(1), &terms(), EARLY, Heard::Nothing), "=unknown");
}

#[test]
fn what_is_watched_is_due_at_each_of_its_moments_and_then_no_more() {
    let voided = payment(attempt(Operation::Charge, AttemptState::Voided));
    let gone = Terms { is_known: false, looks: false, ..terms() };
    for terms in [terms(), gone] {
        let mut now = ENDED;
        for after in WATCH {
            assert_eq!(due(Item::Attempt(1), &voided, &terms, now), Some(Wait::Until(ENDED.plus(after))));
            now = ENDED.plus(after);
        }
        assert_eq!(due(Item::Attempt(1), &voided, &terms, now), None);
    }
    let blind = Terms { looks: false, ..terms() };
    assert_eq!(due(Item::Attempt(1), &voided, &blind, ENDED), None, "nobody can tell");
}

/// Nothing was heard yet, of providers that can do less or are not to be asked.
const UNHEARD: &str = "
                    usual      hold       blind      no way     harmless   gone
unknown, early      look       =manual    =manual    =manual    =manual    later
unknown, quiet      look       =manual    =manual    =manual    =manual    later
unknown, too long   look       =manual    =manual    =manual    =manual    =manual
voiding, early      look       =manual    =manual    =manual    =manual    later
voiding, quiet      look       =manual    =manual    =manual    =manual    later
voiding, too long   look       =manual    =manual    =manual    =manual    =manual
prepared            look       look       rest       rest       rest       later
prepared, too long  look       look       begin void begin void begin void begin void
prepare lost, early look       =manual    =manual    =manual    =manual    later
prepare lost, quiet look       =manual    =manual    =manual    =manual    later
confirm lost, early look       =manual    =manual    =manual    =manual    later
confirm lost, quiet look       =manual    =manual    =manual    =manual    later
given up, early     look       look       cancel     =manual    =voided    later
given up, quiet     look       look       cancel     =manual    =voided    later
given up, too long  look       look       cancel     =manual    =voided    =manual
confirm undone      look       look       rest       rest       rest       rest
left something      look       look       void       rest       rest       later
left it too long    look       look       void       rest       rest       rest
voided              look       look       rest       rest       rest       rest
late capture        look       look       void       =manual    =manual    later
late capture, old   look       look       void       =manual    =manual    =manual
late, taken back    look       look       rest       rest       rest       rest";

/// A look found it so.
const FOUND: &str = "
                    captured   prepared   declined   soft       nothing    voided     not found  unknown
unknown, early      =succeeded wait       =declined  =soft      =nothing   =voided    wait       later
unknown, quiet      =succeeded begin void =declined  =soft      =nothing   =voided    begin void later
unknown, too long   =succeeded begin void =declined  =soft      =nothing   =voided    begin void =manual
voiding, early      wait       wait       =declined  =soft      =nothing   =voided    wait       later
voiding, quiet      =succeeded void       =declined  =soft      =nothing   =voided    void       later
voiding, too long   =succeeded void       =declined  =soft      =nothing   =voided    void       =manual
prepared            =succeeded rest       =declined  =soft      =nothing   =voided    rest       later
prepared, too long  =succeeded begin void =declined  =soft      =nothing   =voided    begin void begin void
prepare lost, early =succeeded =prepared  =declined  =soft      =nothing   =voided    wait       later
prepare lost, quiet =succeeded =prepared  =declined  =soft      =nothing   =voided    begin void later
confirm lost, early =succeeded wait       =declined  =soft      =nothing   =voided    wait       later
confirm lost, quiet =succeeded =prepared  =declined  =soft      =nothing   =voided    begin void later
given up, early     wait       cancel     =declined  =soft      =nothing   =voided    cancel     later
given up, quiet     =succeeded cancel     =declined  =soft      =nothing   =voided    cancel     later
given up, too long  =succeeded cancel     =declined  =soft      =nothing   =voided    cancel     =manual
confirm undone      !captured  begin void rest       rest       rest       rest       rest       later
left something      !captured  void       =nothing   =nothing   =nothing   =nothing   void       later
left it too long    !captured  void       =nothing   =nothing   =nothing   =nothing   void       rest
voided              !captured  begin void rest       rest       rest       rest       rest       later
late capture        void       void       =voided    =voided    =voided    =voided    void       later
late capture, old   void       void       =voided    =voided    =voided    =voided    void       =manual
late, taken back    !captured  begin void rest       rest       rest       rest       rest       later";

/// The provider said so to being asked to take it back.
const SAID: &str = "
                    captured   prepared   declined   soft       nothing    voided     not found  unknown
unknown, early      look       later      look       look       later      look       look       later
unknown, quiet      look       later      look       look       later      look       look       later
unknown, too long   look       =manual    look       look       =manual    look       look       =manual
voiding, early      look       later      look       look       later      look       look       later
voiding, quiet      look       later      look       look       later      look       look       later
voiding, too long   look       =manual    look       look       =manual    look       look       =manual
prepared            look       later      look       look       later      look       look       later
prepared, too long  look       begin void look       look       begin void look       look       begin void
prepare lost, early look       later      look       look       later      look       look       later
prepare lost, quiet look       later      look       look       later      look       look       later
confirm lost, early look       later      look       look       later      look       look       later
confirm lost, quiet look       later      look       look       later      look       look       later
given up, early     look       later      look       look       later      look       look       later
given up, quiet     look       later      look       look       later      look       look       later
given up, too long  look       =manual    look       look       =manual    look       look       =manual
confirm undone      look       later      look       look       later      look       look       later
left something      look       later      look       look       later      look       look       later
left it too long    look       rest       look       look       rest       look       look       rest
voided              look       later      look       look       later      look       look       later
late capture        look       later      look       look       later      look       look       later
late capture, old   look       =manual    look       look       =manual    look       look       =manual
late, taken back    look       later      look       look       later      look       look       later";

/// The same, and the provider has no lookup.
const SAID_UNSEEN: &str = "
                    captured   prepared   declined   soft       nothing    voided     not found  unknown
unknown, early      =voided    later      =manual    =manual    later      =voided    =voided    later
unknown, quiet      =voided    later      =manual    =manual    later      =voided    =voided    later
unknown, too long   =voided    =manual    =manual    =manual    =manual    =voided    =voided    =manual
voiding, early      =voided    later      =manual    =manual    later      =voided    =voided    later
voiding, quiet      =voided    later      =manual    =manual    later      =voided    =voided    later
voiding, too long   =voided    =manual    =manual    =manual    =manual    =voided    =voided    =manual
prepared            =voided    later      =manual    =manual    later      =voided    =voided    later
prepared, too long  =voided    begin void =manual    =manual    begin void =voided    =voided    begin void
prepare lost, early =voided    later      =manual    =manual    later      =voided    =voided    later
prepare lost, quiet =voided    later      =manual    =manual    later      =voided    =voided    later
confirm lost, early =voided    later      =manual    =manual    later      =voided    =voided    later
confirm lost, quiet =voided    later      =manual    =manual    later      =voided    =voided    later
given up, early     =voided    later      =manual    =manual    later      =voided    =voided    later
given up, quiet     =voided    later      =manual    =manual    later      =voided    =voided    later
given up, too long  =voided    =manual    =manual    =manual    =manual    =voided    =voided    =manual
confirm undone      =voided    later      rest       rest       later      =voided    =voided    later
left something      =nothing   later      rest       rest       later      =nothing   =nothing   later
left it too long    =nothing   rest       rest       rest       rest       =nothing   =nothing   rest
voided              =voided    later      rest       rest       later      =voided    =voided    later
late capture        =voided    later      =manual    =manual    later      =voided    =voided    later
late capture, old   =voided    =manual    =manual    =manual    =manual    =voided    =voided    =manual
late, taken back    =voided    later      rest       rest       later      =voided    =voided    later";

/// The provider said that it is taken back, and a look after that found it so.
const TAKEN_BACK: &str = "
                    captured   prepared   declined   soft       nothing    voided     not found  unknown
unknown, early      =succeeded wait       =declined  =soft      =nothing   =voided    wait       later
unknown, quiet      =succeeded later      =declined  =soft      =nothing   =voided    =voided    later
unknown, too long   =succeeded =manual    =declined  =soft      =nothing   =voided    =voided    =manual
voiding, early      wait       wait       =declined  =soft      =nothing   =voided    wait       later
voiding, quiet      =succeeded later      =declined  =soft      =nothing   =voided    =voided    later
voiding, too long   =succeeded =manual    =declined  =soft      =nothing   =voided    =voided    =manual
prepared            =succeeded rest       =declined  =soft      =nothing   =voided    rest       later
prepared, too long  =succeeded begin void =declined  =soft      =nothing   =voided    begin void begin void
prepare lost, early =succeeded =prepared  =declined  =soft      =nothing   =voided    wait       later
prepare lost, quiet =succeeded =prepared  =declined  =soft      =nothing   =voided    =voided    later
confirm lost, early =succeeded wait       =declined  =soft      =nothing   =voided    wait       later
confirm lost, quiet =succeeded =prepared  =declined  =soft      =nothing   =voided    =voided    later
given up, early     wait       later      =declined  =soft      =nothing   =voided    =voided    later
given up, quiet     =succeeded later      =declined  =soft      =nothing   =voided    =voided    later
given up, too long  =succeeded =manual    =declined  =soft      =nothing   =voided    =voided    =manual
confirm undone      !captured  begin void rest       rest       rest       rest       rest       later
left something      !captured  later      =nothing   =nothing   =nothing   =nothing   =nothing   later
left it too long    !captured  rest       =nothing   =nothing   =nothing   =nothing   =nothing   rest
voided              !captured  begin void rest       rest       rest       rest       rest       later
late capture        later      later      =voided    =voided    =voided    =voided    =voided    later
late capture, old   =manual    =manual    =voided    =voided    =voided    =voided    =voided    =manual
late, taken back    !captured  begin void rest       rest       rest       rest       rest       later";

/// What the provider said to that is unknown, and a look after that found it so.
const PERHAPS_TAKEN_BACK: &str = "
                    captured   prepared   declined   soft       nothing    voided     not found  unknown
unknown, early      =succeeded wait       =declined  =soft      =nothing   =voided    wait       later
unknown, quiet      =succeeded later      =declined  =soft      =nothing   =voided    later      later
unknown, too long   =succeeded =manual    =declined  =soft      =nothing   =voided    =manual    =manual
voiding, early      wait       wait       =declined  =soft      =nothing   =voided    wait       later
voiding, quiet      =succeeded later      =declined  =soft      =nothing   =voided    later      later
voiding, too long   =succeeded =manual    =declined  =soft      =nothing   =voided    =manual    =manual
prepared            =succeeded rest       =declined  =soft      =nothing   =voided    rest       later
prepared, too long  =succeeded begin void =declined  =soft      =nothing   =voided    begin void begin void
prepare lost, early =succeeded =prepared  =declined  =soft      =nothing   =voided    wait       later
prepare lost, quiet =succeeded =prepared  =declined  =soft      =nothing   =voided    later      later
confirm lost, early =succeeded wait       =declined  =soft      =nothing   =voided    wait       later
confirm lost, quiet =succeeded =prepared  =declined  =soft      =nothing   =voided    later      later
given up, early     wait       later      =declined  =soft      =nothing   =voided    later      later
given up, quiet     =succeeded later      =declined  =soft      =nothing   =voided    later      later
given up, too long  =succeeded =manual    =declined  =soft      =nothing   =voided    =manual    =manual
confirm undone      !captured  begin void rest       rest       rest       rest       rest       later
left something      !captured  later      =nothing   =nothing   =nothing   =nothing   later      later
left it too long    !captured  rest       =nothing   =nothing   =nothing   =nothing   rest       rest
voided              !captured  begin void rest       rest       rest       rest       rest       later
late capture        later      later      =voided    =voided    =voided    =voided    later      later
late capture, old   =manual    =manual    =voided    =voided    =voided    =voided    =manual    =manual
late, taken back    !captured  begin void rest       rest       rest       rest       rest       later";
