//! The options of `figway payments try`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::OutputArgs;
use crate::payments::adapter::CANONICAL;
use crate::payments::{Currency, MAX_AMOUNT, Operation, holds_card_number};

/// A call to try.
#[derive(Debug, Args)]
pub(crate) struct TryArgs {
    /// A provider of --config, or an adapter: canonical, or a file such as providers/alpha.yaml
    #[arg(value_name = "PROVIDER_OR_ADAPTER")]
    pub(crate) what: String,
    /// What to ask for: charge, prepare, confirm, cancel, refund, lookup or void
    #[arg(long, value_parser = operation)]
    pub(crate) operation: Operation,
    /// The order reference, e.g. 01M7Y3A9VY0FQQAMKRC02P2MQT-1
    #[arg(long, value_parser = reference)]
    pub(crate) reference: String,
    /// The provider's own name for the payment, where it has one
    #[arg(long)]
    pub(crate) provider_ref: Option<String>,
    /// What was written down to look for; the order reference unless given
    #[arg(long)]
    pub(crate) handle: Option<String>,
    /// Amount in the currency's minor unit; an answer about another one is unknown
    #[arg(long, default_value_t = 1234, value_parser = clap::value_parser!(u64).range(1..=MAX_AMOUNT))]
    pub(crate) amount: u64,
    /// Currency, ISO 4217
    #[arg(long, default_value = "EUR", value_parser = currency)]
    pub(crate) currency: Currency,
    /// Payment method
    #[arg(long, default_value = "card")]
    pub(crate) method: String,
    /// The client's token; it is not shown. In FIGWAY_TRY_TOKEN it does not stand in the shell's history either
    #[arg(long, env = "FIGWAY_TRY_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// A payment with capture: false
    #[arg(long)]
    pub(crate) no_capture: bool,
    /// The configuration that has the provider
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the provider listens, e.g. http://127.0.0.1:7101
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// A secret of an adapter's file and the environment variable that holds it; may stand several times
    #[arg(long = "credential", value_name = "NAME=VARIABLE", conflicts_with = "config")]
    pub(crate) credentials: Vec<CredentialFrom>,
    /// Send it, although it may move money
    #[arg(long)]
    pub(crate) really: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

impl TryArgs {
    pub(super) fn is_consistent(&self) -> Result<(), String> {
        // Said here: clap's own messages repeat what was typed.
        if self.token.as_deref().is_some_and(holds_card_number) {
            return Err("--token holds a card number; take a token that the provider gives out for tests".into());
        }
        let is_adapter = self.what == CANONICAL || self.what.ends_with(".yaml");
        match (is_adapter, &self.config, &self.base_url) {
            (true, Some(_), _) => Err("--config is for a provider's name; leave it out, or name a provider".into()),
            (true, None, None) => Err("--base-url is missing: where the provider listens".into()),
            (false, None, _) => Err(format!(
                "{:?} is no adapter's file; name one that ends in .yaml, or the provider with --config FILE",
                self.what
            )),
            _ => Ok(()),
        }
    }
}

/// A credential and where it is.
#[derive(Debug, Clone)]
pub(crate) struct CredentialFrom {
    pub(crate) name: String,
    pub(crate) variable: String,
}

impl FromStr for CredentialFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, variable)) if !name.is_empty() && !variable.is_empty() => {
                Ok(Self { name: name.to_owned(), variable: variable.to_owned() })
            }
            _ => Err("write NAME=VARIABLE, e.g. secret_key=STRIPE_KEY".to_owned()),
        }
    }
}

fn operation(text: &str) -> Result<Operation, String> {
    Operation::parse(text).ok_or_else(|| {
        let known: Vec<_> = Operation::ALL.iter().map(|operation| operation.as_str()).collect();
        format!("there is no such operation; there are {}", known.join(", "))
    })
}

fn reference(text: &str) -> Result<String, String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (6..=64).contains(&text.len()) && text.bytes().all(known) {
        return Ok(text.to_owned());
    }
    Err("an order reference has 6 to 64 characters of A-Z, a-z, 0-9, _ and -".to_owned())
}

fn currency(text: &str) -> Result<Currency, String> {
    Currency::parse(text).ok_or_else(|| "it must be a currency code of ISO 4217 in upper case, such as EUR".to_owned())
}
