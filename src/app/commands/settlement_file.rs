//! Settlement files of providers: CSV (RFC 4180; semicolons and tabs will do) or JSON, line by line, under the names that
//! a person gives. A name that leads nowhere is an error, since what it stands for would never be compared.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::Value;

use crate::app::cli::{AmountUnit, FormatArgs};
use crate::payments::{Currency, EntryKind, SettledLine};

/// What a line may hold.
const NAMES: &[&str] = &["reference", "provider_ref", "amount", "currency", "kind", "status"];
const CHARGES: &[&str] = &["charge", "payment", "capture", "sale"];
const REFUNDS: &[&str] = &["refund", "reversal"];

/// `NAME=COLUMN`: where the file has one of [`NAMES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    name: String,
    column: String,
}

impl FromStr for Column {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, column)) if NAMES.contains(&name) && !column.is_empty() => {
                Ok(Self { name: name.into(), column: column.into() })
            }
            _ => Err(format!("write it as NAME=COLUMN, where NAME is one of {}", NAMES.join(", "))),
        }
    }
}

/// Hands each line that is a charge or refund to `take`. Nothing is kept of a line afterwards.
pub(super) fn read(
    path: &Path,
    format: &FormatArgs,
    mut take: impl FnMut(SettledLine) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let shown = path.display();
    let mut file = BufReader::new(File::open(path).with_context(|| format!("{shown} can't be read"))?);
    skip_byte_order_mark(&mut file).with_context(|| format!("{shown} can't be read"))?;
    let mut interpreted = |line: u32, field: &dyn Fn(&str) -> Option<String>| {
        let read = interpret(line, field, format).with_context(|| format!("{shown}:{line}"))?;
        read.map_or(Ok(()), &mut take)
    };
    if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json") || end.eq_ignore_ascii_case("jsonl")) {
        let mut number = 0;
        let mut nowhere: Vec<&Column> = format.columns.iter().collect();
        read_json(file, |value| {
            number += 1;
            nowhere.retain(|named| place(&value, &named.column).is_none());
            interpreted(number, &|name| text(place(&value, &column(format, name))?))
        })
        .with_context(|| format!("{shown} can't be read as JSON"))?;
        return match nowhere.first().filter(|_| number > 0) {
            Some(Column { name, column }) => bail!("no object of {shown} has {column:?}, which was named for {name}"),
            None => Ok(()),
        };
    }
    let separator = separator(file.fill_buf().with_context(|| format!("{shown} can't be read"))?);
    let mut builder = csv::ReaderBuilder::new();
    let mut reader = builder.delimiter(separator).flexible(false).trim(csv::Trim::All).from_reader(file);
    let headings = reader.headers().with_context(|| format!("{shown} has no line of headings"))?.clone();
    let places = places(&headings, format).with_context(|| shown.to_string())?;
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).with_context(|| format!("{shown} is not valid CSV"))? {
        // Of the row, as spreadsheets count: the reader's own count of lines is one off after CRLF.
        let line = record.position().map_or(0, |at| u32::try_from(at.record() + 1).unwrap_or(u32::MAX));
        let field = |name: &str| {
            let (_, place) = places.iter().find(|(known, _)| *known == name)?;
            record.get((*place)?).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        interpreted(line, &field)?;
    }
    Ok(())
}

/// Where a line has what.
fn places(headings: &csv::StringRecord, format: &FormatArgs) -> anyhow::Result<Vec<(&'static str, Option<usize>)>> {
    let mut found = Vec::new();
    for name in NAMES {
        let column = column(format, name);
        let mut places = headings.iter().enumerate().filter(|(_, heading)| *heading == column).map(|(place, _)| place);
        let place = places.next();
        if places.next().is_some() {
            bail!("there are two columns {column:?}; give one of them another name");
        }
        if place.is_none() && format.columns.iter().any(|named| named.name == *name) {
            let headings: Vec<_> = headings.iter().collect();
            bail!("there is no column {column:?} for {name}; there are {}", headings.join(", "));
        }
        found.push((*name, place));
    }
    Ok(found)
}

/// What stands between the fields: spreadsheets of half the world write semicolons.
fn separator(start: &[u8]) -> u8 {
    let first = start.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let mut others = [b';', b'\t'].into_iter();
    let other = if first.contains(&b',') { None } else { others.find(|byte| first.contains(byte)) };
    other.unwrap_or(b',')
}

fn skip_byte_order_mark(file: &mut impl BufRead) -> std::io::Result<()> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if file.fill_buf()?.starts_with(MARK) {
        file.consume(MARK.len());
    }
    Ok(())
}

/// A list of objects, or one object a line.
fn read_json(mut file: impl BufRead, mut one: impl FnMut(Value) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let is_list = file.fill_buf()?.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let mut json = serde_json::Deserializer::from_reader(file);
    if is_list {
        (&mut json).deserialize_seq(Each(one))?;
        return Ok(json.end()?);
    }
    for value in json.into_iter() {
        one(value?)?;
    }
    Ok(())
}

fn column(format: &FormatArgs, name: &str) -> String {
    let named = format.columns.iter().rev().find(|column| column.name == name);
    named.map_or_else(|| name.to_owned(), |column| column.column.clone())
}

fn place<'a>(value: &'a Value, column: &str) -> Option<&'a Value> {
    if column.starts_with('/') { value.pointer(column) } else { value.get(column) }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What a line says; `None` if it is neither charge nor refund and to be ignored.
fn interpret(
    line: u32,
    field: &dyn Fn(&str) -> Option<String>,
    format: &FormatArgs,
) -> anyhow::Result<Option<SettledLine>> {
    let is_in = |words: &[String], word: &str| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    let kind = field("kind").map(|word| word.to_ascii_lowercase());
    if kind.as_deref().is_some_and(|word| is_in(&format.ignore, word)) {
        return Ok(None);
    }
    let (reference, provider_ref) = (field("reference"), field("provider_ref"));
    if reference.is_none() && provider_ref.is_none() {
        bail!("neither reference nor provider_ref stands there; say with --columns where the file has one of them");
    }
    let currency = field("currency").map(|code| code.to_ascii_uppercase());
    let written = field("amount").context("there is no amount; say with --columns where the file has it")?;
    let (amount, is_negative) = amount(&written, format.amounts, currency.as_deref())?;
    let kind = match kind.as_deref() {
        Some(word) if CHARGES.contains(&word) => EntryKind::Charge,
        Some(word) if REFUNDS.contains(&word) => EntryKind::Refund,
        Some(word) => bail!("{word:?} is neither a charge nor a refund; leave such lines out with --ignore {word}"),
        None if is_negative => EntryKind::Refund,
        None => EntryKind::Charge,
    };
    let settled = field("status").is_none_or(|status| is_in(&format.settled, &status));
    Ok(Some(SettledLine { line, kind, reference, provider_ref, amount, currency, settled }))
}

/// The amount in minor units, and whether it is below zero.
fn amount(written: &str, unit: AmountUnit, currency: Option<&str>) -> anyhow::Result<(u64, bool)> {
    let (digits, is_negative) = written.strip_prefix('-').map_or((written, false), |rest| (rest, true));
    let places = match unit {
        AmountUnit::Minor => 0,
        AmountUnit::Major => {
            let code = currency.context("amounts in major units need a currency on each line")?;
            usize::from(Currency::parse(code).with_context(|| format!("{code:?} is no currency in use"))?.exponent())
        }
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // Digits beyond the smallest unit must be zeros: 12.3400 EUR is 12.34 EUR.
    let (kept, rest) = fraction.split_at(fraction.len().min(places));
    let well_formed = !whole.is_empty() && plain(whole) && plain(fraction) && rest.bytes().all(|byte| byte == b'0');
    let minor = format!("{whole}{kept:0<places$}").parse().ok().filter(|_| well_formed);
    let unit = if unit == AmountUnit::Minor { "minor units; or say --amounts major" } else { "its currency" };
    Ok((minor.with_context(|| format!("{written:?} is no amount in {unit}"))?, is_negative))
}

/// Hands each element of a list on as soon as it is read.
struct Each<F>(F);

impl<'de, F: FnMut(Value) -> anyhow::Result<()>> Visitor<'de> for Each<F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(value) = list.next_element::<Value>()? {
            (self.0)(value).map_err(|error| serde::de::Error::custom(format!("{error:#}")))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
