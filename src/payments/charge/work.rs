//! One run of a charge: drives the machine, the choice, the ledger and the transport.
//!
//! The machine ([`crate::payments::machine`]) says what may happen next; this file only does it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Asked, Told, ledger_down};
use crate::clock::Timestamp;
use crate::payments::adapter::Charge;
use crate::payments::choose;
use crate::payments::distributor::{Distributor, Running};
use crate::payments::health::Permit;
use crate::payments::ledger::{Accepted, LedgerError, NewPayment, Save, StoredPayment};
use crate::payments::machine::{Answer, Effect, Event, Run};
use crate::payments::record::{Intent, Operation, PaymentState, Record};
use crate::payments::settings::{Provider, Settings};
use crate::payments::transport::CallError;
use crate::payments::verdict::{Doubt, Proof, Verdict};
use crate::resilience::Need;
use crate::types::ProviderName;

/// No attempt begins with less time than this before the deadline.
const LEAST_TIME: Duration = Duration::from_millis(500);
/// How long after its deadline a gateway may still be at work on a payment.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// Whether the ledger has the payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    New,
    Stored,
}

pub(super) enum Ended {
    Told(Told),
    /// The key was taken by this payment.
    Existing(Box<StoredPayment>, Box<Work>),
}

enum Saved {
    Yes,
    No(LedgerError),
    /// Another request was first.
    Lost,
    Existing(Box<StoredPayment>),
}

pub(super) struct Work {
    distributor: Arc<Distributor>,
    pub(super) settings: Arc<Settings>,
    pub(super) asked: Asked,
    payment: StoredPayment,
    origin: Origin,
    deadline: Instant,
    begun: Instant,
    /// Time spent waiting for providers.
    at_providers: Duration,
    /// Asked in this run; not asked again in it.
    tried: Vec<ProviderName>,
    chosen: Option<(Arc<Provider>, Permit)>,
    retry_after: Duration,
    pub(super) running: Running,
}

impl Work {
    pub(super) fn new(
        distributor: &Arc<Distributor>,
        settings: Arc<Settings>,
        asked: Asked,
        payment: StoredPayment,
        origin: Origin,
        running: Running,
    ) -> Self {
        let begun = Instant::now();
        Self {
            distributor: Arc::clone(distributor),
            deadline: begun + settings.deadline,
            settings,
            asked,
            payment,
            origin,
            begun,
            at_providers: Duration::ZERO,
            tried: Vec::new(),
            chosen: None,
            retry_after: Duration::from_secs(1),
            running,
        }
    }

    pub(super) async fn run(mut self) -> Ended {
        let states = self.payment.attempts.iter().map(|attempt| attempt.state).collect();
        let (mut machine, mut effect) = Run::begin(states, self.settings.max_attempts);
        loop {
            let event = match effect {
                Effect::Choose => self.choose(),
                Effect::Call(_) => Event::Ended(self.call().await),
                Effect::Save { outcomes, intent, state } => match self.save(outcomes, intent, state).await {
                    Saved::Yes => Event::Saved,
                    Saved::No(error) => {
                        let _ = ledger_down(&self.distributor, &error);
                        Event::NotSaved
                    }
                    Saved::Lost => return Ended::Told(Told::StillRunning),
                    Saved::Existing(existing) => return Ended::Existing(existing, Box::new(self)),
                },
                Effect::Answer(answer) => return self.answer(answer).await,
            };
            // The machine is total and every event above answers its effect, so there is a next one.
            let Some(next) = machine.step(event) else { return Ended::Told(Told::LedgerDown) };
            effect = next;
        }
    }

    /// Asks the breakers in the order of the draw; one that is half-open gives way to others first.
    fn choose(&mut self) -> Event {
        if self.deadline.saturating_duration_since(Instant::now()) < LEAST_TIME {
            return Event::NoneAvailable;
        }
        let (id, currency) = (&self.payment.id, self.payment.money.currency);
        let mut ranked = choose::rank(&self.settings.providers, id, currency, &self.payment.method);
        ranked.retain(|provider| !self.tried.contains(&provider.name));
        let mut soonest: Option<Duration> = None;
        for need in [Need::Usual, Need::LastResort] {
            for provider in &ranked {
                match self.distributor.health.admit(provider, need) {
                    Ok(permit) => {
                        self.tried.push(provider.name.clone());
                        self.chosen = Some((Arc::clone(provider), permit));
                        return Event::Chosen;
                    }
                    Err(refused) => {
                        soonest = Some(soonest.map_or(refused.retry_after, |soonest| soonest.min(refused.retry_after)));
                    }
                }
            }
        }
        self.retry_after = soonest.unwrap_or(Duration::from_secs(1));
        Event::NoneAvailable
    }

    async fn save(&mut self, outcomes: Vec<Record>, intent: Option<u32>, state: PaymentState) -> Saved {
        let now = Timestamp::now();
        let lease_until = intent.map(|_| now.plus(self.settings.deadline).plus(LEASE_MARGIN));
        let intent = intent.and_then(|number| self.intent(number));
        let saved = match (&intent, self.origin) {
            (Some(intent), Origin::New) => {
                let new = self.new_payment(intent.clone(), now);
                match self.distributor.ledger.accept(new).await {
                    Ok(Accepted::New) => Ok(()),
                    Ok(Accepted::Existing(existing)) => return Saved::Existing(existing),
                    Err(error) => Err(error),
                }
            }
            _ => {
                let records = outcomes.into_iter().chain(intent.clone().map(Record::Intent)).collect();
                let save = Save { id: self.payment.id.clone(), records, now, lease_until };
                self.distributor.ledger.save(save).await
            }
        };
        match saved {
            Ok(()) => {
                self.origin = Origin::Stored;
                self.payment.note_saved(intent, state, lease_until, now);
                Saved::Yes
            }
            // Two requests with one key went on with the same payment at once: the ledger let one of them.
            Err(LedgerError::Conflict(_)) if self.tried.len() == 1 && intent.is_some() => Saved::Lost,
            Err(error) => Saved::No(error),
        }
    }

    fn intent(&self, number: u32) -> Option<Intent> {
        let (provider, _) = self.chosen.as_ref()?;
        let id = &self.payment.id;
        let order_reference = id.order_reference(number);
        Some(Intent {
            attempt: number,
            operation: Operation::Charge,
            provider: provider.name.clone(),
            amount: self.payment.money.amount,
            currency: self.payment.money.currency.code().into(),
            provider_key: self.distributor.keyring.provider_key(id, Operation::Charge.as_str(), number, &provider.name),
            lookup: order_reference.clone(),
            order_reference,
        })
    }

    fn new_payment(&self, intent: Intent, now: Timestamp) -> NewPayment {
        NewPayment {
            id: self.payment.id.clone(),
            client: self.asked.client,
            key: self.asked.key,
            fingerprint: self.payment.fingerprint,
            order_id: self.payment.order_id.clone(),
            money: self.payment.money,
            method: self.payment.method.clone(),
            intent,
            // Not the time of this write: what the first answer says must be what a replay says.
            now: self.payment.created,
            lease_until: now.plus(self.settings.deadline).plus(LEASE_MARGIN),
        }
    }

    /// Calls the chosen provider, whose intent is durable by now.
    async fn call(&mut self) -> Verdict {
        let (Some((provider, permit)), Some(attempt)) = (self.chosen.take(), self.payment.attempts.last()) else {
            return Verdict::NotProcessed { proof: Proof::NotBuilt };
        };
        let begun = Instant::now();
        let key = self.distributor.keyring.provider_key(
            &self.payment.id,
            Operation::Charge.as_str(),
            attempt.number,
            &provider.name,
        );
        let charge = Charge {
            provider_key: &key,
            order_reference: &attempt.order_reference,
            money: self.payment.money,
            method: &self.payment.method,
            token: &self.asked.request.token,
            metadata: &self.asked.request.metadata,
        };
        let (verdict, detail) = call_provider(&self.distributor, &provider, &charge, self.deadline).await;
        let took = begun.elapsed();
        self.at_providers += took;
        permit.end(&verdict);
        self.report(&provider.name, &verdict, &detail, took);
        if let Some(attempt) = self.payment.attempts.last_mut() {
            attempt.settle(&verdict, Timestamp::now());
        }
        verdict
    }

    fn report(&self, provider: &ProviderName, verdict: &Verdict, detail: &str, took: Duration) {
        self.distributor.observer.attempt_ended(provider, verdict, took);
        let (payment, duration_ms, outcome) = (&self.payment.id, took.as_millis() as u64, verdict.class());
        match verdict {
            Verdict::Unknown { doubt: Doubt::Mismatch } => {
                self.distributor.observer.alarm(provider);
                let asked = self.payment.money;
                tracing::error!(%payment, %provider, %asked, "A provider answered about another amount, currency or order");
            }
            Verdict::Unknown { doubt } => {
                let reason = doubt.as_str();
                tracing::warn!(%payment, %provider, outcome, reason, detail, duration_ms, "A payment's outcome is unknown");
            }
            Verdict::NotProcessed { proof } => {
                let reason = proof.as_str();
                tracing::warn!(%payment, %provider, outcome, reason, detail, duration_ms, "A provider did not take a payment");
            }
            Verdict::Succeeded { .. } | Verdict::Declined { .. } => {
                tracing::debug!(%payment, %provider, outcome, duration_ms, "A provider settled a payment");
            }
        }
    }

    async fn answer(self, answer: Answer) -> Ended {
        let told = match answer {
            Answer::Settled(PaymentState::NotProcessed) => return self.nothing_happened().await,
            Answer::Settled(_) => Told::Stands { payment: self.payment.clone(), replayed: false },
            Answer::NothingAttempted => Told::LedgerDown,
            Answer::Unsaved(records) => {
                let id = self.payment.id.clone();
                self.distributor.save_later(Save { id, records, now: Timestamp::now(), lease_until: None });
                let mut payment = self.payment.clone();
                payment.note_unsaved();
                Told::Stands { payment, replayed: false }
            }
        };
        if let Told::Stands { payment, .. } = &told {
            let overhead = self.begun.elapsed().saturating_sub(self.at_providers);
            let provider = payment.deciding_attempt().map(|attempt| &attempt.provider);
            self.distributor.observer.payment_answered(provider, payment.state, overhead);
            let (state, attempts) = (payment.state.as_str(), payment.attempts.len());
            let duration_ms = self.begun.elapsed().as_millis() as u64;
            tracing::info!(payment = %payment.id, request.id = %self.asked.request_id, outcome = state, attempts,
                duration_ms, "A payment was answered");
        }
        Ended::Told(told)
    }

    /// No provider took it. A key that was used before keeps its answer even then.
    async fn nothing_happened(self) -> Ended {
        let mut known = (self.origin == Origin::Stored).then(|| self.payment.id.clone());
        if self.origin == Origin::New {
            match self.distributor.ledger.by_key(self.asked.key).await {
                Ok(Some(existing)) if existing.state != PaymentState::NotProcessed => {
                    return Ended::Existing(Box::new(existing), Box::new(self));
                }
                Ok(Some(existing)) if existing.fingerprint != self.payment.fingerprint => {
                    return Ended::Told(Told::OtherContent);
                }
                Ok(Some(existing)) => known = Some(existing.id),
                Ok(None) => {}
                Err(error) => return Ended::Told(ledger_down(&self.distributor, &error)),
            }
        }
        let overhead = self.begun.elapsed().saturating_sub(self.at_providers);
        self.distributor.observer.payment_answered(None, PaymentState::NotProcessed, overhead);
        Ended::Told(Told::NoProvider { retry_after: self.retry_after, payment: known })
    }
}

async fn call_provider(
    distributor: &Distributor,
    provider: &Provider,
    charge: &Charge<'_>,
    deadline: Instant,
) -> (Verdict, String) {
    let request = match provider.adapter.charge(charge) {
        Ok(request) => request,
        Err(error) => return (Verdict::NotProcessed { proof: Proof::NotBuilt }, error.to_string()),
    };
    match distributor.transport.call(provider, request, deadline).await {
        Ok(answer) => {
            let status = answer.status.to_string();
            (provider.adapter.classify_charge(charge, &answer), status)
        }
        Err(CallError::NotSent { proof, detail }) => (Verdict::NotProcessed { proof }, detail),
        Err(CallError::InDoubt { doubt, detail }) => (Verdict::Unknown { doubt }, detail),
    }
}
