//! An adapter as it is written: the mapping of a YAML file, before any of its templates is compiled.
//!
//! Shapes and unknown keys are judged by `config`, which knows lines and columns; here they are refused as well, since
//! the built-in adapter comes without it. What a key means stands in `docs/payment-adapters.md`.

mod example;

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::payments::record::Operation;

pub(super) use example::{AnswerDraft, CallDraft, ExampleDraft, ExpectedDraft, FoundDraft};

/// A whole adapter.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// One sentence for people.
    pub description: String,
    /// How payments go through it.
    #[serde(default)]
    pub flow: FlowDraft,
    /// Names of the secrets that a provider's entry brings.
    #[serde(default)]
    pub credentials: BTreeMap<String, Need>,
    /// Form of the provider's answers.
    #[serde(default)]
    pub answer_format: AnswerFormat,
    /// The `Authorization` of every request.
    pub auth: Option<AuthDraft>,
    /// Header fields of every request.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// The signature of every request.
    pub sign: Option<SignDraft>,
    /// What the provider can be asked for.
    pub operations: HashMap<Operation, OperationDraft>,
    /// Recorded answers, by which the adapter is tried whenever it is loaded.
    #[serde(default)]
    pub examples: Vec<ExampleDraft>,
}

/// How payments go through an adapter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowDraft {
    /// Who brings a payment of one client request to its end.
    pub charge_by: ChargeBy,
    /// See [`super::Adapter::prepare_is_harmless`].
    pub prepare_is_harmless: bool,
}

/// How a payment is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeBy {
    /// By one request, `charge`.
    #[default]
    Charge,
    /// By two requests of the gateway, `prepare` and `confirm`, within one of the client.
    PrepareAndConfirm,
    /// By two requests of the client: its customer has a part between `prepare` and `confirm`.
    Client,
}

/// Whether a credential must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Nothing works without it.
    Required,
    /// Fields made of it alone are left out without it.
    Optional,
}

/// Form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    /// A JSON document.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// Who asks, in `Authorization`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthDraft {
    /// RFC 7617.
    Basic(BasicDraft),
    /// RFC 6750.
    Bearer(String),
}

/// User name and password, templates both.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicDraft {
    /// User name.
    pub user: String,
    /// Password.
    #[serde(default)]
    pub password: String,
}

/// A keyed hash over the request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignDraft {
    /// Which hash.
    pub algorithm: Algorithm,
    /// Template of the key.
    pub key: String,
    /// How the key is written.
    #[serde(default)]
    pub key_encoding: KeyEncoding,
    /// Template of what is hashed.
    pub over: String,
    /// How the hash is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// Which header field carries it.
    pub header: String,
    /// Template of that field; the hash alone unless given.
    pub value: Option<String>,
}

/// A keyed hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// HMAC-SHA256.
    Sha256,
    /// HMAC-SHA512.
    Sha512,
}

/// How a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyEncoding {
    /// The text is the key.
    #[default]
    Text,
    /// Hexadecimal digits.
    Hex,
    /// Base64, standard alphabet.
    Base64,
}

impl KeyEncoding {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }
}

/// How a hash is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Lower-case hexadecimal digits.
    #[default]
    Hex,
    /// Base64, standard alphabet, padded.
    Base64,
}

/// One operation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperationDraft {
    /// Nothing is sent: the customer's device does it.
    pub local: bool,
    /// What a local operation tells the device: templates by name.
    pub next_action: Map<String, Value>,
    /// What the provider is to be asked for later: a template; of `lookup` alone.
    pub handle: Option<String>,
    /// The request; the first that fits, if there are several.
    pub request: Option<Requests>,
    /// Names for parts of the answer, in order: expressions.
    #[serde(rename = "let")]
    pub lets: Map<String, Value>,
    /// Where the answer holds what.
    pub read: ReadDraft,
    /// Which of the things read must be those of the call.
    pub expect: Vec<Echo>,
    /// What answers mean: the first rule that holds; none: unknown.
    pub classify: Vec<RuleDraft>,
}

/// One request, or several with conditions.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Requests {
    /// Alternatives, in order.
    Several(Vec<RequestDraft>),
    /// The only one.
    One(Box<RequestDraft>),
}

/// A request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestDraft {
    /// Expression over the call; always, unless given.
    pub when: Option<String>,
    /// `GET`, `POST`, …
    pub method: String,
    /// Template of the path below the provider's base URL; what is inserted is encoded.
    pub path: String,
    /// Templates by name.
    #[serde(default)]
    pub query: Map<String, Value>,
    /// Templates by name; they win over the adapter's own.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// Body: a tree whose texts are templates.
    pub json: Option<Value>,
    /// Body: templates by name.
    pub form: Option<Map<String, Value>>,
}

/// Where an answer holds what: expressions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadDraft {
    /// The provider's name for the payment or refund.
    pub provider_ref: Option<String>,
    /// In minor units.
    pub amount: Option<String>,
    /// ISO 4217, upper case.
    pub currency: Option<String>,
    /// Our name for the attempt.
    pub order_reference: Option<String>,
    /// What was given back by now, in minor units.
    pub refunded: Option<String>,
    /// Why it was declined.
    pub decline_code: Option<String>,
    /// What the customer's device needs: expressions by name.
    pub next_action: Map<String, Value>,
}

/// Something that a provider's answer repeats of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Echo {
    /// The amount.
    Amount,
    /// The currency.
    Currency,
    /// Our name for the attempt.
    OrderReference,
}

/// A line of a classify table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleDraft {
    /// Expression over the answer.
    pub when: String,
    /// What it means then.
    #[serde(rename = "as")]
    pub class: Class,
}

/// What an answer can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Done.
    Succeeded,
    /// The first of two steps is done, or a look found it so.
    Prepared,
    /// Refused by the card's side.
    Declined,
    /// Refused with a code that lets another provider try.
    SoftDeclined,
    /// Provably nothing happened.
    NotProcessed,
    /// Provably nothing happened: the provider is at its rate limit.
    Full,
    /// Nothing is charged any more, and it stays so.
    Voided,
    /// The provider does not know it by now.
    NotFound,
    /// The provider says that it does not know yet.
    Pending,
    /// Nobody knows.
    Unknown,
}

impl Class {
    /// Every one of them.
    pub const ALL: &[Self] = &[
        Self::Succeeded,
        Self::Prepared,
        Self::Declined,
        Self::SoftDeclined,
        Self::NotProcessed,
        Self::Full,
        Self::Voided,
        Self::NotFound,
        Self::Pending,
        Self::Unknown,
    ];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Prepared => "prepared",
            Self::Declined => "declined",
            Self::SoftDeclined => "soft_declined",
            Self::NotProcessed => "not_processed",
            Self::Full => "full",
            Self::Voided => "voided",
            Self::NotFound => "not_found",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
        }
    }

    /// Whether an answer to this operation can mean this.
    #[must_use]
    pub fn is_legal_for(self, operation: Operation) -> bool {
        match self {
            Self::NotProcessed | Self::Pending | Self::Unknown | Self::Declined => true,
            Self::Succeeded => !matches!(operation, Operation::Prepare | Operation::Cancel | Operation::Void),
            Self::Prepared => matches!(operation, Operation::Prepare | Operation::Lookup),
            Self::SoftDeclined | Self::Full => {
                matches!(operation, Operation::Charge | Operation::Prepare | Operation::Confirm)
            }
            Self::Voided | Self::NotFound => {
                matches!(operation, Operation::Lookup | Operation::Cancel | Operation::Void)
            }
        }
    }
}
