//! Who is asked for a payment: a filter, then a weighted rendezvous hash of the payment's id.
//!
//! Each provider draws a number that depends on the payment and itself alone, scaled by its weight;
//! the highest wins, the next is the one to fail over to. Taking a provider away moves only its own
//! payments. Health is not looked at here: the caller asks the breakers in the order of the draw.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};

use super::id::PaymentId;
use super::money::Currency;
use super::settings::Provider;

/// Providers that take new payments of this currency and method, the first choice first.
#[must_use]
pub(super) fn rank<'a>(
    providers: &'a [Arc<Provider>],
    payment: &PaymentId,
    currency: Currency,
    method: &str,
) -> Vec<&'a Arc<Provider>> {
    let takes = |provider: &Provider| {
        provider.weight > 0
            && (provider.currencies.is_empty() || provider.currencies.contains(&currency))
            && (provider.methods.is_empty() || provider.methods.iter().any(|known| known == method))
    };
    let mut drawn: Vec<_> = providers
        .iter()
        .filter(|provider| takes(provider))
        .map(|provider| (score(payment, provider.name.as_str(), provider.weight), provider))
        .collect();
    drawn.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    drawn.into_iter().map(|(_, provider)| provider).collect()
}

/// Weighted rendezvous hashing (Schindelhauer and Schomaker, 2005): `-weight / ln(u)` for a uniform `u`.
fn score(payment: &PaymentId, provider: &str, weight: u32) -> f64 {
    let hash = digest(&SHA256, format!("{payment}/{provider}").as_bytes());
    let head: [u8; 8] = hash.as_ref()[..8].try_into().expect("SHA-256 has 32 bytes");
    // 53 bits fill a double's mantissa; the half keeps `u` strictly between 0 and 1.
    let uniform = ((u64::from_be_bytes(head) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(weight) / uniform.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::payments::adapter::built_in;
    use crate::payments::settings::{BaseUrl, OnUnknown, ProviderTimeouts};

    fn provider(name: &str, weight: u32) -> Provider {
        Provider {
            name: name.into(),
            adapter: built_in("canonical").expect("built in"),
            base_url: BaseUrl::parse("http://127.0.0.1:1").expect("valid"),
            tls: None,
            weight,
            timeouts: ProviderTimeouts::default(),
            quiesce: Provider::QUIESCE,
            on_unknown: OnUnknown::Hold,
            currencies: vec![],
            methods: vec![],
        }
    }

    fn euro() -> Currency {
        Currency::parse("EUR").expect("listed")
    }

    fn payment(number: u32) -> PaymentId {
        let mut random = [0; 10];
        random[..4].copy_from_slice(&number.to_be_bytes());
        PaymentId::new(Timestamp(0), random)
    }

    fn first(providers: &[Arc<Provider>], number: u32) -> String {
        rank(providers, &payment(number), euro(), "card")[0].name.as_str().to_owned()
    }

    #[test]
    fn payments_are_shared_by_weight() {
        let providers = [Arc::new(provider("alpha", 70)), Arc::new(provider("beta", 30))];
        let alpha = (0..5000).filter(|number| first(&providers, *number) == "alpha").count();
        assert!((3350..=3650).contains(&alpha), "{alpha} of 5000, expected about 3500");
    }

    #[test]
    fn a_provider_that_leaves_moves_only_its_own_payments() {
        let three = [Arc::new(provider("a", 1)), Arc::new(provider("b", 1)), Arc::new(provider("c", 1))];
        for number in 0..500 {
            let before = rank(&three, &payment(number), euro(), "card");
            let after = first(&three[..2], number);
            let expected = before.iter().find(|provider| provider.name.as_str() != "c").expect("two are left");
            assert_eq!(after, expected.name.as_str());
        }
    }

    #[test]
    fn a_weight_of_nothing_and_what_a_provider_does_not_take_are_left_out() {
        let mut won_only = provider("won", 1);
        won_only.currencies = vec![Currency::parse("KRW").expect("listed")];
        let mut transfers = provider("transfers", 1);
        transfers.methods = vec!["transfer".into()];
        let providers = [Arc::new(provider("drained", 0)), Arc::new(won_only), Arc::new(transfers)];
        assert!(rank(&providers, &payment(1), euro(), "card").is_empty());
        assert_eq!(rank(&providers, &payment(1), euro(), "transfer").len(), 1);
    }
}
