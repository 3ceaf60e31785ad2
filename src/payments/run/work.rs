//! One piece of work on a payment: does what the machine says, one effect after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::saving::{Saved, Wanted};
use super::{Asked, Told};
use crate::clock::Timestamp;
use crate::payments::choose::{Chosen, Nobody};
use crate::payments::distributor::{Distributor, Running};
use crate::payments::health::Permit;
use crate::payments::id::PaymentId;
use crate::payments::ledger::{KeyUse, Lease, StoredPayment};
use crate::payments::machine::{Answer, Effect, Event, Goal, Plan, Run};
use crate::payments::record::{AttemptState, Operation, PaymentState, Record};
use crate::payments::settings::Settings;
use crate::payments::terms::Directory;
use crate::types::ProviderName;

/// No attempt begins with less time than this before the deadline.
const LEAST_TIME: Duration = Duration::from_millis(500);

/// What only the client's request brings; never stored.
#[derive(Default)]
pub(in crate::payments) struct Customer {
    pub(in crate::payments) token: Option<String>,
    pub(in crate::payments) metadata: Vec<(String, String)>,
}

/// How a piece of work ended.
pub(in crate::payments) enum Ended {
    /// Everything is durable.
    Stands,
    /// The ledger failed before anything was sent.
    NothingAttempted,
    /// The ledger failed after something was sent; these facts are still to be saved.
    Unsaved(Vec<Record>),
    /// Somebody else has the payment; whether anything was sent.
    Lost { sent: bool },
    /// The key was taken by this payment, for this.
    Existing(Box<StoredPayment>, KeyUse),
}

/// See the module's text.
pub(in crate::payments) struct Work {
    pub(super) distributor: Arc<Distributor>,
    pub(super) settings: Arc<Settings>,
    pub(super) run: Run,
    pub(super) lease: Lease,
    /// The client's deadline; the worker has none.
    pub(super) until: Option<Instant>,
    pub(super) customer: Customer,
    /// Saved together with what is done for it.
    pub(super) key: Option<KeyUse>,
    /// When the ledger has it due, unless somebody has hurried it since.
    pub(super) due: Option<Timestamp>,
    /// Nothing of the payment is durable yet.
    pub(super) is_new: bool,
    /// Asked in this work; not asked again in it.
    pub(super) tried: Vec<ProviderName>,
    pub(super) permit: Option<Permit>,
    pub(super) at_providers: Duration,
    begun: Instant,
    /// Why nobody could be asked, once that was so.
    nobody: Option<Nobody>,
    request_id: Option<String>,
    _running: Running,
}

impl Work {
    /// Work on a payment whose lease this is, for the worker; a client's goes on with [`Self::asked_by`].
    pub(in crate::payments) fn new(
        distributor: &Arc<Distributor>,
        settings: &Arc<Settings>,
        payment: StoredPayment,
        goal: Goal,
        lease: Lease,
    ) -> Self {
        // Who is asked for a confirmation counts as tried.
        let owner = payment.live_attempt().map(|owner| owner.provider.clone()).filter(|_| goal == Goal::Confirm);
        let tries = settings.max_attempts - u32::from(owner.is_some());
        let due = payment.due;
        let run = Run::new(payment, goal, Directory::of(settings), tries, fastrand::u64(..));
        #[cfg(test)]
        let run = run.failing_over_on_unknown(distributor.fails_over_on_unknown());
        Self {
            distributor: Arc::clone(distributor),
            settings: Arc::clone(settings),
            run,
            lease,
            until: None,
            customer: Customer::default(),
            key: None,
            due,
            is_new: false,
            tried: owner.into_iter().collect(),
            permit: None,
            at_providers: Duration::ZERO,
            begun: Instant::now(),
            nobody: None,
            request_id: None,
            _running: distributor.running(),
        }
    }

    /// A client asks for it, with a key, and waits until the deadline at most.
    pub(super) fn asked_by(mut self, asked: &Asked, key: KeyUse, customer: Customer) -> Self {
        self.until = Some(asked.begun + self.settings.deadline);
        self.key = Some(key);
        self.customer = customer;
        self.request_id = Some(asked.request_id.clone());
        self
    }

    /// The payment is new.
    pub(super) fn new_payment(mut self) -> Self {
        self.is_new = true;
        self
    }

    /// The key stands for this work already.
    pub(super) fn known_key(mut self) -> Self {
        self.key = None;
        self
    }

    pub(super) fn into_customer(self) -> Customer {
        self.customer
    }

    /// Nothing was saved: as if it had never been asked for.
    pub(super) fn is_unknown_to_ledger(&self) -> bool {
        self.is_new
    }

    /// Where the payment stands, as far as it is durable.
    pub(in crate::payments) fn state(&self) -> PaymentState {
        self.run.durable().state
    }

    /// Does everything that is to be done.
    pub(in crate::payments) async fn drive(&mut self) -> Ended {
        let mut effect = self.run.begin(self.distributor.clock.now());
        loop {
            let event = match effect {
                Effect::Plan(plan) => self.plan(plan),
                Effect::Call(ask) => Event::Ended(self.call(ask).await),
                Effect::Wait(moment) => self.wait(moment).await,
                Effect::Save { records, goes_on, due, looks } => {
                    match self.save(Wanted { records, goes_on, due, looks }).await {
                        Saved::Event(event) => event,
                        Saved::Existing(existing, used) => return Ended::Existing(existing, used),
                    }
                }
                Effect::Answer(answer) => return self.answered(answer),
            };
            match self.run.step(event, self.distributor.clock.now()) {
                Some(next) => effect = next,
                // The machine is total and every event above answers its effect, so there is a next one.
                None => return Ended::Lost { sent: true },
            }
        }
    }

    fn plan(&mut self, plan: Plan) -> Event {
        let intent = match plan {
            Plan::Attempt(number) => self.plan_attempt(number),
            Plan::Confirm(number) => self.plan_confirm(number),
        };
        intent.map_or(Event::NoneAvailable, Event::Planned)
    }

    fn plan_attempt(&mut self, number: u32) -> Option<crate::payments::record::Intent> {
        loop {
            if self.left() < LEAST_TIME {
                return None;
            }
            let Chosen { provider, operation, permit, .. } = match self.choose() {
                Ok(chosen) => chosen,
                Err(nobody) => {
                    self.nobody = Some(nobody);
                    return None;
                }
            };
            self.tried.push(provider.name.clone());
            if let Some(intent) = self.intent(&provider, number, operation, None) {
                self.permit = Some(permit);
                return Some(intent);
            }
        }
    }

    fn plan_confirm(&self, number: u32) -> Option<crate::payments::record::Intent> {
        let attempt = self.run.payment().attempts.iter().find(|attempt| attempt.number == number)?;
        let provider = self.settings.provider(&attempt.provider)?;
        self.intent(provider, number, Operation::Confirm, attempt.provider_ref.as_deref())
    }

    fn left(&self) -> Duration {
        self.until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
    }

    async fn wait(&self, moment: Timestamp) -> Event {
        let at = self.distributor.clock.instant(moment);
        if self.until.is_some_and(|until| at + LEAST_TIME > until) {
            return Event::TimeUp;
        }
        tokio::time::sleep_until(at).await;
        Event::Woke
    }

    fn answered(&mut self, answer: Answer) -> Ended {
        // Whoever was to be called and was not gets its leave back.
        self.permit = None;
        let ended = match answer {
            Answer::Stands => Ended::Stands,
            Answer::NothingAttempted => Ended::NothingAttempted,
            Answer::Unsaved(records) => Ended::Unsaved(records),
            Answer::Lost { sent } => Ended::Lost { sent },
        };
        if let Some(request_id) = &self.request_id {
            let payment = self.run.durable();
            let (state, attempts) = (payment.state.as_str(), payment.attempts.len());
            let duration_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(payment = %payment.id, request.id = %request_id, operation = self.operation().as_str(),
                outcome = state, attempts, duration_ms, "A payment was answered");
        }
        ended
    }

    /// What the client is told.
    pub(super) fn told(self, ended: Ended) -> Told {
        match ended {
            Ended::Stands => self.stands(),
            Ended::NothingAttempted => {
                if !self.is_new {
                    // Its lease ends as soon as the ledger works again.
                    self.save_later(Vec::new());
                }
                Told::LedgerDown
            }
            Ended::Unsaved(records) => {
                self.save_later(records);
                self.stands_so_far()
            }
            Ended::Lost { sent: true } => self.stands_so_far(),
            // Only a new payment meets an existing one, and whoever makes one sees to that.
            Ended::Lost { sent: false } | Ended::Existing(..) => Told::StillRunning,
        }
    }

    fn save_later(&self, records: Vec<Record>) {
        self.distributor.save_later(self.run.durable().id.clone(), self.lease.holder, records);
    }

    fn stands(self) -> Told {
        let payment = self.run.durable();
        if payment.state == PaymentState::NotProcessed {
            let known = (!self.is_new).then(|| payment.id.clone());
            return self.no_provider(known);
        }
        let refund = self.refund();
        let state = |number| payment.refunds.iter().find(|refund| refund.number == number).map(|refund| refund.state);
        if refund.and_then(state) == Some(AttemptState::NotProcessed) {
            return Told::NotRefunded;
        }
        self.stands_so_far()
    }

    /// Only what is durable is told: what is not may look otherwise to whoever asks next.
    fn stands_so_far(self) -> Told {
        let payment = self.run.durable();
        self.tell_observer(payment.deciding_attempt().map(|attempt| &attempt.provider), payment.state);
        Told::Stands { payment: Box::new(payment.clone()), refund: self.refund(), replayed: false }
    }

    pub(super) fn no_provider(self, payment: Option<PaymentId>) -> Told {
        self.tell_observer(None, PaymentState::NotProcessed);
        let retry_after = self.nobody.as_ref().map_or(Duration::from_secs(1), |nobody| nobody.retry_after);
        let why = self.nobody.as_ref().map(ToString::to_string);
        Told::NoProvider { retry_after, payment, why }
    }

    fn tell_observer(&self, provider: Option<&ProviderName>, state: PaymentState) {
        let overhead = self.begun.elapsed().saturating_sub(self.at_providers);
        self.distributor.observer.payment_answered(provider, state, overhead);
    }

    fn refund(&self) -> Option<u32> {
        match self.run.goal() {
            Goal::Refund(intent) => Some(intent.refund),
            _ => None,
        }
    }

    fn operation(&self) -> Operation {
        match self.run.goal() {
            Goal::Pay => Operation::Charge,
            Goal::Confirm => Operation::Confirm,
            Goal::Cancel => Operation::Cancel,
            Goal::Refund(_) => Operation::Refund,
            Goal::Resolve => Operation::Lookup,
        }
    }
}
