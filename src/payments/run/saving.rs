//! How a run writes to the ledger: the first save of a new payment makes it, every other one needs its lease.

use super::work::Work;
use crate::clock::Timestamp;
use crate::payments::ledger::{Accepted, KeyUse, Lease, LedgerError, NewPayment, Save, StoredPayment};
use crate::payments::machine::Event;
use crate::payments::record::Record;

/// What became of a save.
pub(super) enum Saved {
    /// What the machine is to hear.
    Event(Event),
    /// The key was taken: by this payment, for this.
    Existing(Box<StoredPayment>, KeyUse),
}

/// What the machine wants saved.
pub(super) struct Wanted {
    pub(super) records: Vec<Record>,
    pub(super) goes_on: bool,
    pub(super) due: Option<Timestamp>,
    pub(super) looks: u32,
}

impl Work {
    pub(super) async fn save(&mut self, wanted: Wanted) -> Saved {
        let now = self.distributor.clock.now();
        if wanted.goes_on {
            self.lease.until = self.lease.until.max(self.distributor.lease_end(&self.settings, self.until, now));
        }
        let alarms: Vec<Record> = wanted.records.iter().filter(|record| is_alarm(record)).cloned().collect();
        let due = wanted.due;
        let saved = if self.is_new { self.accept(wanted).await } else { self.save_more(wanted, now).await };
        match saved {
            Ok(None) => {
                // The first save of a payment says nothing of when it is due.
                self.due = due.filter(|_| !self.is_new);
                self.is_new = false;
                self.key = None;
                alarms.iter().for_each(|alarm| self.sound(alarm));
                Saved::Event(Event::Saved)
            }
            Ok(Some((existing, used))) => Saved::Existing(existing, used),
            Err(LedgerError::Conflict(detail)) => {
                tracing::info!(payment = %self.run.payment().id, detail, "Somebody else has a payment");
                Saved::Event(Event::Lost)
            }
            Err(error) => {
                self.distributor.observer.ledger_failed();
                tracing::error!(payment = %self.run.payment().id, %error, "A payment can't be saved");
                Saved::Event(Event::NotSaved)
            }
        }
    }

    async fn accept(&self, wanted: Wanted) -> Result<Option<(Box<StoredPayment>, KeyUse)>, LedgerError> {
        let intent = wanted.records.into_iter().find_map(|record| match record {
            Record::Intent(intent) => Some(intent),
            _ => None,
        });
        let (Some(intent), Some(key)) = (intent, self.key) else {
            return Err(LedgerError::Conflict("a payment begins with a key and an intent".into()));
        };
        let payment = self.run.payment();
        let new = NewPayment {
            id: payment.id.clone(),
            client: payment.client,
            key,
            order_id: payment.order_id.clone(),
            money: payment.money,
            method: payment.method.clone(),
            capture: payment.capture,
            intent,
            // Not the time of this write: what the first answer says must be what a replay says.
            now: payment.created,
            lease: self.lease,
        };
        match self.distributor.ledger.accept(new).await? {
            Accepted::New => Ok(None),
            Accepted::Existing(existing, used) => Ok(Some((existing, used))),
        }
    }

    async fn save_more(
        &self,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Option<(Box<StoredPayment>, KeyUse)>, LedgerError> {
        let Wanted { records, goes_on, due, looks } = wanted;
        let Lease { holder, until } = self.lease;
        let lease_until = goes_on.then_some(until);
        let (id, key, due_before) = (self.run.payment().id.clone(), self.key, self.due);
        self.distributor
            .ledger
            .save(Save { id, holder, records, key, now, lease_until, due, due_before, looks })
            .await?;
        Ok(None)
    }

    /// Once it is durable, so that nobody hears of it twice.
    fn sound(&self, alarm: &Record) {
        let payment = self.run.payment();
        match alarm {
            Record::LateCapture { attempt, .. } => {
                let found = payment.attempts.iter().find(|stored| stored.number == *attempt);
                let Some(attempt) = found else { return };
                self.distributor.observer.late_capture(&attempt.provider);
                tracing::error!(payment = %payment.id, provider = %attempt.provider, attempt = attempt.number,
                    "ALARM: an attempt that was released is captured; it is being taken back");
            }
            Record::LateRefund { refund } => {
                let Some(owner) = payment.deciding_attempt() else { return };
                self.distributor.observer.alarm(&owner.provider);
                tracing::error!(payment = %payment.id, provider = %owner.provider, refund,
                    "ALARM: a refund that counted as not processed was carried out; it counts from now on");
            }
            _ => {}
        }
    }
}

fn is_alarm(record: &Record) -> bool {
    matches!(record, Record::LateCapture { .. } | Record::LateRefund { .. })
}
