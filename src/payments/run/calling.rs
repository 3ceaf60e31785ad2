//! One call at a provider: how it is put, what its answer means, and who hears of it.
//!
//! An answer to a look is about an attempt; that a look did not get through says nothing of it.

use std::time::Duration;

use tokio::time::Instant;

use super::work::Work;
use crate::payments::adapter::{Ability, Call};
use crate::payments::capacity;
use crate::payments::health::Permit;
use crate::payments::leases::WAIT_FOR_PLACE;
use crate::payments::ledger::StoredAttempt;
use crate::payments::machine::{Ask, Goal};
use crate::payments::money::Money;
use crate::payments::record::{AttemptState, Intent, Operation};
use crate::payments::resolution::Item;
use crate::payments::settings::Provider;
use crate::payments::transport::CallError;
use crate::payments::verdict::{Doubt, Proof, Verdict};

/// What a call came to, and for the log how.
struct Heard {
    verdict: Verdict,
    detail: String,
    took: Duration,
    /// When the provider wants to be asked again, if it said so.
    retry_after: Option<Duration>,
}

/// What a call says besides the payment itself.
struct Words {
    operation: Operation,
    provider_key: String,
    provider_ref: Option<String>,
    money: Money,
    token: Option<String>,
    refund_reference: Option<String>,
    found: Option<Verdict>,
}

impl Work {
    pub(super) async fn call(&mut self, ask: Ask) -> Verdict {
        let Some((attempt, words)) = self.words(&ask) else { return unasked(&ask) };
        let Some(provider) = self.settings.provider(&attempt.provider).cloned() else { return unasked(&ask) };
        match ask {
            Ask::Look(_) | Ask::TakeBack(..) => self.call_in_turn(&provider, &attempt, &words, &ask).await,
            Ask::Refund(_) => {
                let heard = self.exchange_counted(&provider, &attempt, &words).await;
                self.report(&provider, &words, &heard);
                heard.verdict
            }
            Ask::Attempt(..) => self.call_for_money(&provider, &attempt, &words).await,
        }
    }

    /// A charge, prepare or confirm; the only calls that a breaker hears of.
    async fn call_for_money(&mut self, provider: &Provider, attempt: &StoredAttempt, words: &Words) -> Verdict {
        if provider.adapter.ability(words.operation) == Ability::Local {
            self.permit.take().into_iter().for_each(Permit::end_without_call);
            let next_action = provider.adapter.next_action(&self.phrase(attempt, words));
            return match next_action {
                Ok(next_action) => Verdict::Prepared { provider_ref: None, next_action },
                Err(error) => {
                    tracing::error!(payment = %self.run.payment().id, provider = %provider.name, %error,
                        "A payment can't be prepared");
                    Verdict::NotProcessed { proof: Proof::NotBuilt }
                }
            };
        }
        let mut permit = self.permit.take().unwrap_or_else(|| self.attend(provider, words.operation));
        permit.begin();
        let heard = self.exchange(provider, attempt, words).await;
        // A prepare that the gateway confirms at once is half a charge: the other half tells more.
        if matches!(heard.verdict, Verdict::Prepared { .. }) && self.confirms_at_once(provider, words.operation) {
            self.permit = Some(permit);
        } else {
            permit.end(&heard.verdict, heard.retry_after);
        }
        self.report(provider, words, &heard);
        heard.verdict
    }

    fn confirms_at_once(&self, provider: &Provider, operation: Operation) -> bool {
        operation == Operation::Prepare
            && provider.adapter.confirms_itself()
            && self.run.payment().capture
            && *self.run.goal() == Goal::Pay
    }

    /// A look or a void, few of which a provider gets at once.
    async fn call_in_turn(
        &mut self,
        provider: &Provider,
        attempt: &StoredAttempt,
        words: &Words,
        ask: &Ask,
    ) -> Verdict {
        let until = self.until.unwrap_or_else(|| Instant::now() + WAIT_FOR_PLACE);
        let Some(place) = self.distributor.slots.enter(&provider.name, until).await else { return unasked(ask) };
        let mut heard = self.exchange_counted(provider, attempt, words).await;
        if words.operation == Operation::Lookup {
            heard.verdict = about_the_attempt(heard.verdict);
        }
        place.leave(!is_silence(&heard.verdict));
        self.report(provider, words, &heard);
        heard.verdict
    }

    /// A call that only the owner can answer, which counts towards its capacity all the same.
    async fn exchange_counted(&mut self, provider: &Provider, attempt: &StoredAttempt, words: &Words) -> Heard {
        let mut permit = self.attend(provider, words.operation);
        permit.begin();
        let heard = self.exchange(provider, attempt, words).await;
        permit.end(&heard.verdict, heard.retry_after);
        heard
    }

    async fn exchange(&mut self, provider: &Provider, attempt: &StoredAttempt, words: &Words) -> Heard {
        let begun = Instant::now();
        let call = self.phrase(attempt, words);
        let usual = begun + provider.timeouts.connect + provider.timeouts.response;
        let deadline = self.until.unwrap_or(usual);
        let mut retry_after = None;
        let (verdict, detail) = match provider.adapter.request(&call) {
            Err(error) => (Verdict::NotProcessed { proof: Proof::NotBuilt }, error.to_string()),
            Ok(request) => match self.distributor.transport.call(provider, request, deadline).await {
                Ok(answer) => {
                    retry_after = capacity::retry_after(&answer.headers, self.distributor.clock.wall());
                    (provider.adapter.classify(&call, &answer), answer.status.to_string())
                }
                Err(CallError::NotSent { proof, detail }) => (Verdict::NotProcessed { proof }, detail),
                Err(CallError::InDoubt { doubt, detail }) => (Verdict::Unknown { doubt }, detail),
            },
        };
        let took = begun.elapsed();
        self.at_providers += took;
        Heard { verdict, detail, took, retry_after }
    }

    fn words(&self, ask: &Ask) -> Option<(StoredAttempt, Words)> {
        let payment = self.run.payment();
        let by_number = |number: u32| payment.attempts.iter().find(|attempt| attempt.number == number);
        let captured = || payment.attempts.iter().find(|attempt| attempt.state == AttemptState::Succeeded);
        let attempt = match ask {
            Ask::Attempt(number, _) | Ask::TakeBack(number, ..) | Ask::Look(Item::Attempt(number)) => {
                by_number(*number)
            }
            Ask::Refund(_) | Ask::Look(Item::Refund(_)) => captured(),
        }?;
        let mut words = Words {
            operation: Operation::Lookup,
            provider_key: String::new(),
            provider_ref: attempt.provider_ref.clone(),
            money: payment.money,
            token: None,
            refund_reference: None,
            found: None,
        };
        let mut kind = Operation::Lookup.as_str().to_owned();
        let mut number = attempt.number;
        match ask {
            // Who repeats an answer to a key would repeat "not found" for ever: each look needs its own.
            Ask::Look(_) => kind = format!("{kind}.{}", self.distributor.clock.now().0),
            Ask::Attempt(_, operation) => {
                words.operation = *operation;
                operation.as_str().clone_into(&mut kind);
                // What the customer brought for the confirmation means nothing to another provider.
                let meant = *self.run.goal() == Goal::Pay || *operation == Operation::Confirm;
                words.token = self.customer.token.clone().filter(|_| meant);
            }
            Ask::Refund(refund) => {
                let refund = payment.refunds.iter().find(|stored| stored.number == *refund)?;
                words.operation = Operation::Refund;
                Operation::Refund.as_str().clone_into(&mut kind);
                number = refund.number;
                words.money.amount = refund.amount;
                words.refund_reference = Some(refund.reference.clone());
            }
            Ask::TakeBack(_, operation, found) => {
                words.operation = *operation;
                // Providers repeat what they once answered to a key, failures too: each try needs its own.
                kind = format!("{}.{}", operation.as_str(), payment.updated.0);
                if let Some(Verdict::Succeeded { provider_ref, .. }) = found {
                    words.provider_ref = Some(provider_ref.clone());
                }
                words.found.clone_from(found);
            }
        }
        words.provider_key = self.distributor.keyring.provider_key(&payment.id, &kind, number, &attempt.provider);
        Some((attempt.clone(), words))
    }

    fn phrase<'a>(&'a self, attempt: &'a StoredAttempt, words: &'a Words) -> Call<'a> {
        let payment = self.run.payment();
        Call {
            operation: words.operation,
            provider_key: &words.provider_key,
            order_reference: &attempt.order_reference,
            lookup: &attempt.lookup,
            provider_ref: words.provider_ref.as_deref(),
            money: words.money,
            method: &payment.method,
            capture: payment.capture,
            token: words.token.as_deref(),
            metadata: &self.customer.metadata,
            refund_reference: words.refund_reference.as_deref(),
            found: words.found.as_ref(),
        }
    }

    /// The intent of an operation of an attempt; `None` if the adapter can't say what to look for later.
    pub(super) fn intent(
        &self,
        provider: &Provider,
        number: u32,
        operation: Operation,
        provider_ref: Option<&str>,
    ) -> Option<Intent> {
        let payment = self.run.payment();
        let order_reference = payment.id.order_reference(number);
        // A repeated confirmation has the key of the first: should that be carried out late, it is the same one.
        let key = self.distributor.keyring.provider_key(&payment.id, operation.as_str(), number, &provider.name);
        let call = Call {
            operation,
            provider_key: &key,
            order_reference: &order_reference,
            lookup: "",
            provider_ref,
            money: payment.money,
            method: &payment.method,
            capture: payment.capture,
            // Kept in the ledger: no place for tokens. The last confirmation's would name another attempt besides.
            token: None,
            metadata: &self.customer.metadata,
            refund_reference: None,
            found: None,
        };
        let lookup = match provider.adapter.lookup_handle(&call) {
            Ok(lookup) => lookup,
            Err(error) => {
                tracing::error!(payment = %payment.id, provider = %provider.name, %error, "A payment can't be planned");
                return None;
            }
        };
        Some(Intent {
            attempt: number,
            operation,
            provider: provider.name.clone(),
            amount: payment.money.amount,
            currency: payment.money.currency.code().into(),
            provider_key: key,
            order_reference,
            lookup,
        })
    }

    fn report(&self, provider: &Provider, words: &Words, heard: &Heard) {
        let Heard { verdict, detail, took, .. } = heard;
        let (name, operation) = (&provider.name, words.operation);
        self.distributor.observer.called(name, operation, verdict, *took);
        let (payment, duration_ms) = (&self.run.payment().id, u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        let (operation, outcome, reason) = (operation.as_str(), verdict.class(), verdict.reason().unwrap_or("-"));
        if *verdict == (Verdict::Unknown { doubt: Doubt::Mismatch }) {
            self.distributor.observer.alarm(name);
            let asked = words.money;
            tracing::error!(%payment, provider = %name, operation, %asked,
                "ALARM: a provider answered about another amount, currency or order");
            return;
        }
        match verdict {
            Verdict::Unknown { .. } => tracing::warn!(%payment, provider = %name, operation, outcome, reason, detail,
                duration_ms, "What a provider did is unknown"),
            Verdict::NotProcessed { .. } => tracing::warn!(%payment, provider = %name, operation, outcome, reason,
                detail, duration_ms, "A provider did not do what it was asked for"),
            _ => tracing::debug!(%payment, provider = %name, operation, outcome, duration_ms, "A provider answered"),
        }
    }
}

/// What an unasked provider can be taken to have said.
fn unasked(ask: &Ask) -> Verdict {
    match ask {
        Ask::Look(_) => Verdict::Unknown { doubt: Doubt::Lost },
        Ask::Attempt(..) | Ask::Refund(_) | Ask::TakeBack(..) => Verdict::NotProcessed { proof: Proof::NotBuilt },
    }
}

/// Of a look, only what the provider states about the attempt is an answer.
fn about_the_attempt(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::NotProcessed { proof: Proof::Stated } => verdict,
        Verdict::NotProcessed { proof: Proof::Full | Proof::NotBuilt } => Verdict::Unknown { doubt: Doubt::Unlisted },
        Verdict::NotProcessed { .. } => Verdict::Unknown { doubt: Doubt::Lost },
        verdict => verdict,
    }
}

fn is_silence(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Unknown { doubt } => !matches!(doubt, Doubt::StillOpen | Doubt::Mismatch),
        Verdict::NotProcessed { proof } => *proof != Proof::Stated,
        _ => false,
    }
}
