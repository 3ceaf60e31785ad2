//! Reconciliation: the ledger's charges and refunds of one provider beside that provider's settlement file.
//!
//! The file is indexed first, in a few dozen bytes a line; the ledger's entries then come one by one
//! and are forgotten, so that their number does not matter. Every difference is told: what is missing
//! on either side, other amounts, currencies or states, and what stands there twice. Pure: reading
//! files and pages is the caller's part.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

use super::record::AttemptState;

/// Which way the money went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// To the shop.
    Charge,
    /// Back to the customer.
    Refund,
}

/// A charge or refund as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerEntry {
    /// Which way.
    pub kind: EntryKind,
    /// Id of the payment.
    pub payment: String,
    /// The client's own name for the order.
    pub order_id: String,
    /// Who was asked.
    pub provider: String,
    /// Our name for it towards the provider.
    pub reference: String,
    /// The provider's name for it.
    pub provider_ref: Option<String>,
    /// In minor units.
    pub amount: u64,
    /// ISO 4217.
    pub currency: String,
    /// Where it stands.
    pub state: AttemptState,
    /// When it was begun (RFC 3339).
    pub started_at: String,
    /// When its latest outcome was saved (RFC 3339).
    pub ended_at: Option<String>,
}

/// A line of a settlement file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledLine {
    /// Where it stands in the file, from 1.
    pub line: u32,
    /// Which way.
    pub kind: EntryKind,
    /// Our name for it, where the file has one.
    pub reference: Option<String>,
    /// The provider's name for it, where the file has one.
    pub provider_ref: Option<String>,
    /// In minor units.
    pub amount: u64,
    /// ISO 4217, where the file has one.
    pub currency: Option<String>,
    /// Whether money has moved; the file may list failures too.
    pub settled: bool,
}

/// In what the two sides differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The ledger says that it succeeded; the file does not have it.
    MissingInFile,
    /// The file has it; the ledger does not.
    MissingInLedger,
    /// Another amount.
    Amount,
    /// Another currency.
    Currency,
    /// Done on one side and not on the other.
    State,
    /// Another name at the provider.
    ProviderRef,
    /// It stands there more than once.
    Duplicate,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// In what.
    pub difference: DifferenceKind,
    /// Charge or refund.
    pub kind: EntryKind,
    /// Id of the payment, where the ledger has it.
    pub payment: Option<String>,
    /// Our name for it, where known.
    pub reference: Option<String>,
    /// The provider's name for it, where known.
    pub provider_ref: Option<String>,
    /// Line of the file, where it has one.
    pub line: Option<u32>,
    /// What the ledger says.
    pub ledger: Option<String>,
    /// What the file says.
    pub file: Option<String>,
}

/// A settlement file, ready to be compared with.
#[derive(Debug, Default)]
pub struct Settlement {
    lines: Vec<Line>,
    by_name: HashMap<Name, u32>,
    duplicates: Vec<Difference>,
}

/// Of a reference or provider reference: 16 bytes of its SHA-256, kept in place of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Name([u8; 16]);

#[derive(Debug, Clone, Copy)]
struct Line {
    line: u32,
    amount: u64,
    currency: Option<[u8; 3]>,
    provider_ref: Option<Name>,
    settled: bool,
    seen: bool,
}

impl Name {
    fn new(label: &str, kind: EntryKind, text: &str) -> Self {
        let whole = digest(&SHA256, format!("{label} {kind:?} {text}").as_bytes());
        Self(whole.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes"))
    }

    fn ours(kind: EntryKind, reference: &str) -> Self {
        Self::new("ours", kind, reference)
    }

    fn theirs(kind: EntryKind, provider_ref: &str) -> Self {
        Self::new("theirs", kind, provider_ref)
    }
}

impl Settlement {
    /// Takes one line; a second one of the same name that moves money is a duplicate.
    pub fn add(&mut self, line: &SettledLine) {
        let ours = line.reference.as_deref().map(|text| Name::ours(line.kind, text));
        let theirs = line.provider_ref.as_deref().map(|text| Name::theirs(line.kind, text));
        let known = [ours, theirs].into_iter().flatten().find_map(|name| self.by_name.get(&name).copied());
        let place = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        if let Some(first) = known {
            let first = &mut self.lines[first as usize];
            if !line.settled {
                return;
            }
            if first.settled {
                let said = format!("also on line {}", first.line);
                self.duplicates.push(line.difference(DifferenceKind::Duplicate, None, Some(said)));
                return;
            }
            // A try that failed stands before the one that did not.
            *first = Line { seen: first.seen, ..line.compact(theirs) };
            return;
        }
        self.lines.push(line.compact(theirs));
        for name in [ours, theirs].into_iter().flatten() {
            self.by_name.insert(name, place);
        }
    }

    /// Compares one entry of the ledger; each entry once.
    pub fn compare(&mut self, entry: &LedgerEntry) -> Vec<Difference> {
        let ours = Name::ours(entry.kind, &entry.reference);
        let theirs = entry.provider_ref.as_deref().map(|text| Name::theirs(entry.kind, text));
        let place = [Some(ours), theirs].into_iter().flatten().find_map(|name| self.by_name.get(&name).copied());
        let succeeded = entry.state == AttemptState::Succeeded;
        let state = || Some(entry.state.as_str().to_owned());
        let Some(line) = place.and_then(|place| self.lines.get_mut(place as usize)) else {
            let missing = succeeded.then(|| entry.difference(DifferenceKind::MissingInFile, None, state(), None));
            return missing.into_iter().collect();
        };
        let mut found = Vec::new();
        let mut differ = |kind, ledger, file| found.push(entry.difference(kind, Some(line.line), ledger, file));
        if line.seen && succeeded && line.settled {
            differ(DifferenceKind::Duplicate, Some("another entry is the same line".into()), None);
        }
        line.seen = true;
        if succeeded != line.settled {
            let file = if line.settled { "settled" } else { "not settled" };
            differ(DifferenceKind::State, state(), Some(file.into()));
        }
        if succeeded && line.settled {
            if entry.amount != line.amount {
                differ(DifferenceKind::Amount, Some(entry.amount.to_string()), Some(line.amount.to_string()));
            }
            if let Some(currency) = line.currency.filter(|code| entry.currency.as_bytes() != code) {
                let said = String::from_utf8_lossy(&currency).into_owned();
                differ(DifferenceKind::Currency, Some(entry.currency.clone()), Some(said));
            }
            if let (Some(one), Some(other)) = (theirs, line.provider_ref)
                && one != other
            {
                differ(DifferenceKind::ProviderRef, entry.provider_ref.clone(), Some("another name".into()));
            }
        }
        found
    }

    /// Whether the ledger had this line.
    #[must_use]
    pub fn has_seen(&self, line: &SettledLine) -> bool {
        let ours = line.reference.as_deref().map(|text| Name::ours(line.kind, text));
        let theirs = line.provider_ref.as_deref().map(|text| Name::theirs(line.kind, text));
        let place = [ours, theirs].into_iter().flatten().find_map(|name| self.by_name.get(&name));
        place.is_some_and(|place| self.lines[*place as usize].seen)
    }

    /// What stands in the file more than once.
    pub fn duplicates(&mut self) -> Vec<Difference> {
        std::mem::take(&mut self.duplicates)
    }
}

impl SettledLine {
    /// The difference that a line makes which no entry of the ledger answers.
    #[must_use]
    pub fn missing(&self) -> Difference {
        self.difference(DifferenceKind::MissingInLedger, None, Some(self.amount.to_string()))
    }

    fn compact(&self, theirs: Option<Name>) -> Line {
        Line {
            line: self.line,
            amount: self.amount,
            currency: self.currency.as_deref().and_then(|code| code.as_bytes().try_into().ok()),
            provider_ref: theirs,
            settled: self.settled,
            seen: false,
        }
    }

    fn difference(&self, difference: DifferenceKind, ledger: Option<String>, file: Option<String>) -> Difference {
        Difference {
            difference,
            kind: self.kind,
            payment: None,
            reference: self.reference.clone(),
            provider_ref: self.provider_ref.clone(),
            line: Some(self.line),
            ledger,
            file,
        }
    }
}

impl LedgerEntry {
    fn difference(
        &self,
        difference: DifferenceKind,
        line: Option<u32>,
        ledger: Option<String>,
        file: Option<String>,
    ) -> Difference {
        Difference {
            difference,
            kind: self.kind,
            payment: Some(self.payment.clone()),
            reference: Some(self.reference.clone()),
            provider_ref: self.provider_ref.clone(),
            line,
            ledger,
            file,
        }
    }
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingInFile => "missing in file",
            Self::MissingInLedger => "missing in ledger",
            Self::Amount => "amount",
            Self::Currency => "currency",
            Self::State => "state",
            Self::ProviderRef => "provider ref",
            Self::Duplicate => "duplicate",
        })
    }
}

#[cfg(test)]
mod tests;
