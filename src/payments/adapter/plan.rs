//! A compiled adapter, before a provider lends it credentials.

use std::collections::{BTreeMap, HashMap};

use super::draft::{ChargeBy, ExampleDraft, Need};
use super::judge::Judge;
use super::request::{Envelope, Request};
use super::template::Template;
use crate::payments::record::Operation;

/// A compiled adapter. Made by [`Plan::compile`].
#[derive(Debug)]
pub struct Plan {
    pub(super) name: String,
    pub(super) charge_by: ChargeBy,
    pub(super) prepare_is_harmless: bool,
    pub(super) credentials: BTreeMap<String, Need>,
    pub(super) envelope: Envelope,
    /// What the provider is asked for when an answer never came; the order reference unless given.
    pub(super) handle: Option<Template>,
    pub(super) operations: HashMap<Operation, Planned>,
    pub(super) examples: Vec<ExampleDraft>,
}

/// What an operation comes to.
#[derive(Debug)]
pub(super) enum Planned {
    /// Nothing is sent; what the customer's device needs, by name.
    Local(Vec<(String, Template)>),
    /// The first of these that fits is sent, and its answer judged.
    Call(Vec<Request>, Box<Judge>),
}

impl Plan {
    /// The secrets that a provider's entry brings, by name.
    #[must_use]
    pub fn credentials(&self) -> &BTreeMap<String, Need> {
        &self.credentials
    }
}
