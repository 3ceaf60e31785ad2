//! `figway payments export`: the ledger's charges and refunds of one provider, or in what they differ
//! from that provider's settlement file.
//!
//! Payments come in pages and are forgotten as they are printed or compared; of the settlement file a
//! few dozen bytes a line are kept. So a million payments fit into a small machine.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::settlement_file;
use crate::app::admin_client::{AdminClient, CallError, encode};
use crate::app::cli::{ExportArgs, FormatArgs, Output};
use crate::app::output::{Table, cell, print_as};
use crate::clock::Timestamp;
use crate::payments::{AttemptState, Difference, EntryKind, LedgerEntry, PaymentId, SettledLine, Settlement};

/// Headings of the CSV: the members of a [`LedgerEntry`], in order.
const HEADINGS: &[&str] = &[
    "kind",
    "payment",
    "order_id",
    "provider",
    "reference",
    "provider_ref",
    "amount",
    "currency",
    "state",
    "started_at",
    "ended_at",
];
/// Payments of one page.
const PAGE: usize = 500;

pub(super) async fn run(args: ExportArgs) -> anyhow::Result<ExitCode> {
    let client = AdminClient::new(&args.gateway)?;
    let pages = Pages { client: &client, provider: &args.provider, from: args.from, to: args.to };
    let output = args.gateway.output.output;
    let Some(file) = &args.against else {
        let out = io::BufWriter::new(io::stdout().lock());
        let exported = match output {
            Output::Table => export(&pages, &mut Csv::new(out)).await,
            Output::Json => export(&pages, &mut JsonLines(out)).await,
        };
        return match exported {
            // A reader that went away is no error.
            Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
            exported => exported.map(|()| ExitCode::SUCCESS),
        };
    };
    let (entries, lines, differences) = reconcile(&pages, file, &args.format).await?;
    let document = json!({
        "provider": args.provider,
        "entries": entries,
        "lines": lines,
        "differences": differences,
    });
    print_as(output, &document, report)?;
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The first moment of a day in UTC, or the moment itself.
pub(crate) fn first_moment(text: &str) -> Result<Timestamp, String> {
    last_of_day(text)
        .and_then(|_| Timestamp::parse(&format!("{text}T00:00:00Z")))
        .or_else(|| Timestamp::parse(text))
        .ok_or_else(|| no_moment(text))
}

/// The first moment after a day in UTC, or the moment itself.
pub(crate) fn end_moment(text: &str) -> Result<Timestamp, String> {
    let day = last_of_day(text).map(|last| Timestamp(last.0 + 1));
    day.or_else(|| Timestamp::parse(text)).ok_or_else(|| no_moment(text))
}

/// The last millisecond of a day that is written without a time.
fn last_of_day(text: &str) -> Option<Timestamp> {
    if text.len() == "2026-11-01".len() { Timestamp::end_of_day(text) } else { None }
}

fn no_moment(text: &str) -> String {
    format!("{text:?} is neither a day such as 2026-11-01 nor a moment such as 2026-11-01T09:00:00+09:00")
}

/// The payments that are asked for, newest first.
struct Pages<'a> {
    client: &'a AdminClient,
    provider: &'a str,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Pages<'_> {
    /// Hands each charge and refund on.
    async fn each(&self, mut take: impl FnMut(&LedgerEntry) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut path = format!("/admin/v1/payments?limit={PAGE}&provider={}", encode(self.provider));
        for (name, moment) in [("from", self.from), ("to", self.to)] {
            if let Some(moment) = moment {
                path.push_str(&format!("&{name}={}", encode(&moment.rfc3339())));
            }
        }
        let mut page = self.client.get(&path).await?.document;
        loop {
            let payments = page["payments"].as_array().context("the gateway's answer has no payments")?;
            for payment in payments {
                entries(payment, self.provider)?.iter().try_for_each(&mut take)?;
            }
            let Some(last) = payments.last().filter(|_| payments.len() == PAGE) else { return Ok(()) };
            let last = last["id"].as_str().context("a payment has no id")?;
            page = self.client.get(&format!("{path}&before={}", encode(last))).await?.document;
        }
    }

    /// The charges and refunds of one payment, whenever it was accepted; none if there is no such payment.
    async fn of(&self, payment: &PaymentId) -> anyhow::Result<Vec<LedgerEntry>> {
        match self.client.get(&format!("/admin/v1/payments/{payment}")).await {
            Ok(answer) => entries(&answer.document, self.provider),
            Err(CallError::Refused { status, .. }) if status == http::StatusCode::NOT_FOUND => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A payment's charges at a provider, and its refunds if that provider has the money.
fn entries(payment: &Value, provider: &str) -> anyhow::Result<Vec<LedgerEntry>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let entry = |kind: EntryKind, part: &Value, reference: &str, amount: &Value| {
        Some(LedgerEntry {
            kind,
            payment: text(&payment["id"])?,
            order_id: text(&payment["order_id"])?,
            provider: provider.to_owned(),
            reference: text(&part[reference])?,
            provider_ref: text(&part["provider_ref"]),
            amount: amount.as_u64()?,
            currency: text(&payment["currency"])?,
            state: AttemptState::parse(part["status"].as_str()?)?,
            started_at: text(&part["started_at"])?,
            ended_at: text(&part["ended_at"]),
        })
    };
    let part = |name: &str| payment[name].as_array().into_iter().flatten();
    let there = |attempt: &&Value| attempt["provider"] == provider;
    let charges =
        part("attempts").filter(there).map(|one| entry(EntryKind::Charge, one, "order_reference", &payment["amount"]));
    let has_money = part("attempts").filter(there).any(|one| one["status"] == AttemptState::Succeeded.as_str());
    let refunds =
        part("refunds").filter(|_| has_money).map(|one| entry(EntryKind::Refund, one, "reference", &one["amount"]));
    let entries = charges.chain(refunds).collect::<Option<Vec<_>>>();
    entries.with_context(|| format!("the gateway's answer about payment {} was not understood", payment["id"]))
}

/// Where exported entries go.
trait Sink {
    fn put(&mut self, entry: &LedgerEntry) -> anyhow::Result<()>;
    fn finish(&mut self) -> anyhow::Result<()>;
}

struct Csv<W: Write> {
    out: csv::Writer<W>,
    has_headings: bool,
}

impl<W: Write> Csv<W> {
    fn new(out: W) -> Self {
        let mut builder = csv::WriterBuilder::new();
        let out = builder.terminator(csv::Terminator::CRLF).has_headers(false).from_writer(out);
        Self { out, has_headings: false }
    }

    /// Written once the gateway has answered: headings alone would say that there were no payments.
    fn headings(&mut self) -> anyhow::Result<()> {
        if !self.has_headings {
            self.out.write_record(HEADINGS)?;
            self.has_headings = true;
        }
        Ok(())
    }
}

impl<W: Write> Sink for Csv<W> {
    fn put(&mut self, entry: &LedgerEntry) -> anyhow::Result<()> {
        self.headings()?;
        Ok(self.out.serialize(entry)?)
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.headings()?;
        Ok(self.out.flush()?)
    }
}

struct JsonLines<W>(W);

impl<W: Write> Sink for JsonLines<W> {
    fn put(&mut self, entry: &LedgerEntry) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.0, entry)?;
        Ok(self.0.write_all(b"\n")?)
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(self.0.flush()?)
    }
}

async fn export(pages: &Pages<'_>, sink: &mut impl Sink) -> anyhow::Result<()> {
    pages.each(|entry| sink.put(entry)).await?;
    sink.finish()
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        let of_csv = cause.downcast_ref::<csv::Error>().map(csv::Error::kind);
        cause.downcast_ref::<io::Error>().is_some_and(broken)
            || matches!(of_csv, Some(csv::ErrorKind::Io(error)) if broken(error))
            || cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind)
                == Some(io::ErrorKind::BrokenPipe)
    })
}

/// Entries compared, lines of the file, and every difference.
async fn reconcile(pages: &Pages<'_>, file: &Path, format: &FormatArgs) -> anyhow::Result<(u64, u64, Vec<Difference>)> {
    let (mut settlement, mut lines, mut entries) = (Settlement::default(), 0, 0);
    settlement_file::read(file, format, |line| {
        lines += 1;
        settlement.add(&line);
        Ok(())
    })?;
    let mut differences = settlement.duplicates();
    pages
        .each(|entry| {
            entries += 1;
            differences.extend(settlement.compare(entry));
            Ok(())
        })
        .await?;
    // The file is read once more for what the ledger did not have, rather than kept for it.
    let mut unseen: Vec<SettledLine> = Vec::new();
    settlement_file::read(file, format, |line| {
        if line.settled && !settlement.has_seen(&line) {
            unseen.push(line);
        }
        Ok(())
    })?;
    for line in unseen {
        // A refund of today may belong to a payment of last month.
        let elsewhere = match line.reference.as_deref().and_then(PaymentId::of_reference) {
            Some(payment) => pages.of(&payment).await?,
            None => Vec::new(),
        };
        match elsewhere
            .iter()
            .find(|entry| entry.kind == line.kind && Some(&entry.reference) == line.reference.as_ref())
        {
            Some(entry) => differences.extend(settlement.compare(entry)),
            None => differences.push(line.missing()),
        }
    }
    Ok((entries, lines, differences))
}

fn report(document: &Value) -> String {
    let headings = ["DIFFERENCE", "KIND", "PAYMENT", "REFERENCE", "PROVIDER REF", "LINE", "LEDGER", "FILE"];
    let mut table = Table::new(&headings);
    let differences = document["differences"].as_array().map(Vec::as_slice).unwrap_or_default();
    for one in differences {
        let members = ["kind", "payment", "reference", "provider_ref", "line", "ledger", "file"];
        let kind = cell(&one["difference"]).replace('_', " ");
        table.row(std::iter::once(kind).chain(members.iter().map(|member| cell(&one[*member]))).collect());
    }
    let found = match differences.len() {
        0 => "no difference".to_owned(),
        1 => "1 difference".to_owned(),
        count => format!("{count} differences"),
    };
    let sum = format!(
        "{found} between {} charges or refunds of the ledger and {} lines of the file\n",
        document["entries"], document["lines"]
    );
    if differences.is_empty() { sum } else { table.render("") + &sum }
}

#[cfg(test)]
mod tests;
