//! What goes wrong: faults by script, by outage and by chance, and the plan that one request gets.
//!
//! A plan keeps two times apart: when the request takes effect on the books, and when its caller
//! hears something. Every trouble with payments is a way for these two to disagree.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use super::provider::Wish;
use super::{Answer, answer};
use crate::clock::Timestamp;

/// What is to happen to one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// When it takes effect on the books, counted from now; `None`: never.
    pub effect: Option<Duration>,
    /// When its caller hears something, counted from now; not before the effect of a proper answer.
    pub after: Duration,
    /// What its caller hears.
    pub reply: Reply,
}

/// What the caller of a request hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The connection is refused: not a byte arrives.
    Refused,
    /// The answer to the request's effect.
    Proper,
    /// The same, spoilt.
    Spoilt(Garble),
    /// The answer that an effect would have had, though there is none.
    Pretended,
    /// An error of this status that says nothing about the request.
    Error(StatusCode),
    /// The connection ends before the first byte of the answer.
    CutBefore,
    /// The connection ends within the answer.
    CutWithin,
    /// Nothing, ever.
    Never,
}

/// How an answer is spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Garble {
    /// No body.
    Empty,
    /// Not JSON.
    NotJson,
    /// A megabyte.
    Huge,
    /// JSON of another shape.
    OtherShape,
    /// About another amount.
    OtherAmount,
    /// In another currency.
    OtherCurrency,
}

/// One thing that goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Nobody listens.
    Refused,
    /// It is swallowed: no effect, no answer.
    BlackHole,
    /// The provider hangs up, and nothing happened.
    HangUp,
    /// It takes effect, and the connection ends before the answer.
    AnswerLost,
    /// It takes effect, and the connection ends within the answer.
    AnswerCut,
    /// It takes effect at once, and the answer comes after so long.
    Slow(Duration),
    /// It takes effect only after so long, whoever still waits.
    Late(Duration),
    /// The same for what may take money; everything else is served. For what breaks every promise.
    LateCapture(Duration),
    /// An error, and nothing happened.
    ErrorBefore(u16),
    /// It takes effect, and is answered with an error.
    ErrorAfter(u16),
    /// An error at once, and it takes effect after so long all the same.
    ErrorThenEffect(u16, Duration),
    /// 429: the provider is at its rate limit; nothing happened.
    Full,
    /// It takes effect, and the answer is spoilt.
    Spoilt(Garble),
    /// A void or cancel that is answered as done and never is. Other requests are served: a charge
    /// that is claimed and never made is a fraud, not a fault.
    Shrugs,
}

/// A time in which every request meets the same fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outage {
    /// From when.
    pub from: Timestamp,
    /// Until when; it works again at this moment.
    pub until: Timestamp,
    /// What happens to each request.
    pub fault: Fault,
}

/// Everything that goes wrong at a provider: an outage before a scripted fault before chance.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Times of the same fault for everybody; the first that fits counts.
    pub outages: Vec<Outage>,
    /// By number of the request, from 0.
    pub script: BTreeMap<usize, Fault>,
    /// How many requests of a thousand meet a fault drawn from all there are.
    pub per_mille: u32,
}

impl Faults {
    /// What goes wrong with this request, if anything does.
    pub(super) fn strike(&self, nth: usize, now: Timestamp, rng: &mut fastrand::Rng) -> Option<Fault> {
        let outage = self.outages.iter().find(|outage| (outage.from..outage.until).contains(&now));
        let chance = || (rng.u32(..1_000) < self.per_mille).then(|| Fault::draw(rng));
        outage.map(|outage| outage.fault).or_else(|| self.script.get(&nth).copied()).or_else(chance)
    }
}

impl Fault {
    /// Any of them. Late effects come within four seconds: a provider's promise to the caller who
    /// knows its `quiesce` time.
    pub fn draw(rng: &mut fastrand::Rng) -> Self {
        let pause = Duration::from_millis(rng.u64(500..4_000));
        let status = [500, 502, 503, 504][rng.usize(..4)];
        match rng.u32(..16) {
            0 | 1 => Self::Refused,
            2 => Self::BlackHole,
            3 => Self::HangUp,
            4 | 5 => Self::AnswerLost,
            6 => Self::AnswerCut,
            7 => Self::Slow(pause),
            8 | 9 => Self::Late(pause),
            10 => Self::ErrorBefore(status),
            11 => Self::ErrorAfter(status),
            12 => Self::ErrorThenEffect(status, pause),
            13 => Self::Full,
            14 => Self::Spoilt(Garble::ALL[rng.usize(..Garble::ALL.len())]),
            _ => Self::Shrugs,
        }
    }

    /// The plan of a request that takes `work` when nothing goes wrong.
    pub(super) fn plan(fault: Option<Self>, wish: Wish, work: Duration) -> Plan {
        let plan = |effect, after, reply| Plan { effect, after, reply };
        match fault {
            Some(Self::LateCapture(pause)) if matches!(wish, Wish::Charge | Wish::Confirm) => {
                plan(Some(work + pause), work + pause, Reply::Proper)
            }
            None | Some(Self::LateCapture(_)) => plan(Some(work), work, Reply::Proper),
            Some(Self::Refused) => plan(None, Duration::ZERO, Reply::Refused),
            Some(Self::BlackHole) => plan(None, Duration::ZERO, Reply::Never),
            Some(Self::HangUp) => plan(None, work, Reply::CutBefore),
            Some(Self::AnswerLost) => plan(Some(work), work, Reply::CutBefore),
            Some(Self::AnswerCut) => plan(Some(work), work, Reply::CutWithin),
            Some(Self::Slow(pause)) => plan(Some(work), work + pause, Reply::Proper),
            Some(Self::Late(pause)) => plan(Some(work + pause), work + pause, Reply::Proper),
            Some(Self::ErrorBefore(status)) => plan(None, work, error(status)),
            Some(Self::ErrorAfter(status)) => plan(Some(work), work, error(status)),
            Some(Self::ErrorThenEffect(status, pause)) => plan(Some(work + pause), work, error(status)),
            Some(Self::Full) => plan(None, work, Reply::Error(StatusCode::TOO_MANY_REQUESTS)),
            Some(Self::Spoilt(garble)) => plan(Some(work), work, Reply::Spoilt(garble)),
            Some(Self::Shrugs) if matches!(wish, Wish::Void | Wish::Cancel) => plan(None, work, Reply::Pretended),
            Some(Self::Shrugs) => plan(Some(work), work, Reply::Proper),
        }
    }
}

fn error(status: u16) -> Reply {
    Reply::Error(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

impl Garble {
    /// Every one of them.
    pub const ALL: &[Self] =
        &[Self::Empty, Self::NotJson, Self::Huge, Self::OtherShape, Self::OtherAmount, Self::OtherCurrency];

    /// The answer, spoilt.
    #[must_use]
    pub fn spoil(self, proper: &Answer) -> Answer {
        let body = match self {
            Self::Empty => Bytes::new(),
            Self::NotJson => Bytes::from_static(b"<html><h1>Bad gateway</h1></html>"),
            Self::Huge => Bytes::from(vec![b' '; 1 << 20]),
            Self::OtherShape => Bytes::from_static(b"[{\"status\": 7}]"),
            Self::OtherAmount | Self::OtherCurrency => match serde_json::from_slice(proper.body()) {
                Ok(mut document) => {
                    self.change(&mut document);
                    Bytes::from(document.to_string())
                }
                Err(_) => proper.body().clone(),
            },
        };
        answer::with_body(proper.status(), body)
    }

    /// Changes amounts or currencies wherever they stand.
    fn change(self, document: &mut Value) {
        match document {
            Value::Array(members) => members.iter_mut().for_each(|member| self.change(member)),
            Value::Object(members) => {
                for (name, member) in members {
                    let name = name.to_ascii_lowercase();
                    match self {
                        Self::OtherAmount if name.contains("amount") => {
                            if let Some(amount) = member.as_u64() {
                                *member = amount.saturating_mul(10).into();
                            }
                        }
                        Self::OtherCurrency if name == "currency" => *member = "XTS".into(),
                        _ => self.change(member),
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WORK: Duration = Duration::from_millis(40);

    #[test]
    fn an_outage_counts_before_the_script_and_the_script_before_chance() {
        let outage = Outage { from: Timestamp(10), until: Timestamp(20), fault: Fault::Refused };
        let faults = Faults { outages: vec![outage], script: BTreeMap::from([(1, Fault::Full)]), per_mille: 0 };
        let rng = &mut fastrand::Rng::with_seed(1);
        assert_eq!(faults.strike(1, Timestamp(10), rng), Some(Fault::Refused));
        assert_eq!(faults.strike(1, Timestamp(20), rng), Some(Fault::Full));
        assert_eq!(faults.strike(0, Timestamp(20), rng), None);
        let always = Faults { per_mille: 1_000, ..Faults::default() };
        assert!(always.strike(0, Timestamp(0), rng).is_some());
    }

    #[test]
    fn a_proper_answer_never_comes_before_the_effect() {
        let rng = &mut fastrand::Rng::with_seed(2);
        for _ in 0..1_000 {
            let plan = Fault::plan(Some(Fault::draw(rng)), Wish::Charge, WORK);
            let told = matches!(plan.reply, Reply::Proper | Reply::Spoilt(_) | Reply::CutWithin);
            assert!(!told || plan.effect.is_some_and(|effect| effect <= plan.after), "{plan:?}");
        }
    }

    #[test]
    fn only_voids_and_cancels_are_shrugged_off() {
        assert_eq!(Fault::plan(Some(Fault::Shrugs), Wish::Void, WORK).effect, None);
        assert_eq!(Fault::plan(Some(Fault::Shrugs), Wish::Charge, WORK), Fault::plan(None, Wish::Charge, WORK));
    }

    #[test]
    fn a_spoilt_amount_is_another_one_wherever_it_stands() {
        let proper = answer::json(StatusCode::OK, &json!({"amount": 5, "currency": "EUR", "of": [{"totalAmount": 7}]}));
        let spoilt = |garble: Garble| serde_json::from_slice::<Value>(garble.spoil(&proper).body()).expect("JSON");
        assert_eq!(spoilt(Garble::OtherAmount), json!({"amount": 50, "currency": "EUR", "of": [{"totalAmount": 70}]}));
        assert_eq!(spoilt(Garble::OtherCurrency)["currency"], "XTS");
        assert!(Garble::Huge.spoil(&proper).body().len() > 1 << 19);
    }
}
