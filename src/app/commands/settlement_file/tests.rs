use super::*;

fn format(columns: &[&str], amounts: AmountUnit) -> FormatArgs {
    FormatArgs {
        columns: columns.iter().map(|column| column.parse().expect("a column")).collect(),
        amounts,
        settled: vec!["paid".into(), "settled".into()],
        ignore: vec!["fee".into()],
    }
}

fn lines(name: &str, content: &str, format: &FormatArgs) -> anyhow::Result<Vec<SettledLine>> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("written");
    let mut lines = Vec::new();
    read(&path, format, |line| {
        lines.push(line);
        Ok(())
    })?;
    Ok(lines)
}

fn charge(line: u32) -> SettledLine {
    SettledLine {
        line,
        kind: EntryKind::Charge,
        reference: Some("R-1".into()),
        provider_ref: Some("ch_1".into()),
        amount: 1234,
        currency: Some("EUR".into()),
        settled: true,
    }
}

#[test]
fn csv_lists_and_lines_of_json_say_the_same() {
    let format = format(&[], AmountUnit::Minor);
    let csv = "reference,provider_ref,amount,currency,kind,status\r\nR-1,ch_1,1234,eur,payment,PAID\r\n";
    assert_eq!(lines("a.csv", csv, &format).expect("readable"), [charge(2)]);
    let object = r#"{"reference":"R-1","provider_ref":"ch_1","amount":1234,"currency":"EUR","kind":"charge"}"#;
    assert_eq!(lines("a.json", &format!(" [{object}]"), &format).expect("readable"), [charge(1)]);
    let two = lines("a.jsonl", &format!("{object}\n{object}\n"), &format).expect("readable");
    assert_eq!(two, [charge(1), charge(2)]);
}

#[test]
fn columns_have_the_names_that_a_person_gives() {
    let csv = "Order;x,Txn,Gross,Ccy\n\"R-1\",ch_1,12.34,EUR\n";
    let columns = ["reference=Order;x", "provider_ref=Txn", "amount=Gross", "currency=Ccy"];
    assert_eq!(lines("a.csv", csv, &format(&columns, AmountUnit::Major)).expect("readable"), [charge(2)]);
    let json = r#"[{"order":{"id":"R-1"},"tx":"ch_1","amount":"1234","currency":"EUR"}]"#;
    let columns = ["reference=/order/id", "provider_ref=tx"];
    assert_eq!(lines("a.json", json, &format(&columns, AmountUnit::Minor)).expect("readable"), [charge(1)]);
    let error = lines("a.csv", "a,b\n", &format(&["amount=c"], AmountUnit::Minor)).expect_err("no such column");
    assert!(format!("{error:#}").contains("no column \"c\" for amount; there are a, b"), "{error:#}");
}

#[test]
fn files_of_spreadsheets_are_read_as_they_are() {
    let minor = format(&[], AmountUnit::Minor);
    let csv = "reference,provider_ref,amount,currency\r\nR-1,ch_1,1234,EUR\r\n";
    for content in [csv.replace(',', ";"), csv.replace(',', "\t"), format!("\u{feff}{csv}")] {
        assert_eq!(lines("a.csv", &content, &minor).expect("readable"), [charge(2)], "{content:?}");
    }
    let json = "\u{feff}[{\"reference\":\"R-1\",\"provider_ref\":\"ch_1\",\"amount\":1234,\"currency\":\"EUR\"}]";
    assert_eq!(lines("A.JSON", json, &minor).expect("readable"), [charge(1)]);
}

#[test]
fn a_name_that_leads_nowhere_or_to_two_columns_is_an_error() {
    let twice = "reference,amount,amount\nR-1,1,2\n";
    let json = r#"[{"reference":"R-1","amount":1}]"#;
    let wrong = format(&["currency=/order/curency"], AmountUnit::Minor);
    for (name, content, format, part) in [
        ("a.csv", twice, &format(&[], AmountUnit::Minor), "two columns \"amount\""),
        ("a.json", json, &wrong, "has \"/order/curency\", which was named for currency"),
    ] {
        let error = format!("{:#}", lines(name, content, format).expect_err(content));
        assert!(error.contains(part), "{error}");
    }
    assert!(lines("a.json", "[]", &wrong).expect("readable").is_empty());
}

#[test]
fn kinds_come_from_their_column_or_the_sign_and_some_are_left_out() {
    let csv = "reference,amount,kind,status\nR,5,refund,paid\nR,-5,,paid\nR,1,Fee,paid\nR,5,charge,failed\n";
    let read = lines("a.csv", csv, &format(&[], AmountUnit::Minor)).expect("readable");
    let told: Vec<_> = read.iter().map(|line| (line.line, line.kind, line.amount, line.settled)).collect();
    assert_eq!(
        told,
        [(2, EntryKind::Refund, 5, true), (3, EntryKind::Refund, 5, true), (5, EntryKind::Charge, 5, false)]
    );
}

#[test]
fn amounts_are_exact_or_refused() {
    for (written, unit, currency, expected) in [
        ("1234", AmountUnit::Minor, None, Some((1234, false))),
        ("-1234", AmountUnit::Minor, None, Some((1234, true))),
        ("12.34", AmountUnit::Minor, None, None),
        ("12.00", AmountUnit::Minor, None, Some((12, false))),
        ("12.34", AmountUnit::Major, Some("EUR"), Some((1234, false))),
        ("12.3", AmountUnit::Major, Some("EUR"), Some((1230, false))),
        ("12", AmountUnit::Major, Some("EUR"), Some((1200, false))),
        ("12.3400", AmountUnit::Major, Some("EUR"), Some((1234, false))),
        ("12.345", AmountUnit::Major, Some("EUR"), None),
        ("1500", AmountUnit::Major, Some("KRW"), Some((1500, false))),
        ("1500.5", AmountUnit::Major, Some("KRW"), None),
        ("0.001", AmountUnit::Major, Some("KWD"), Some((1, false))),
        ("1,234.00", AmountUnit::Major, Some("EUR"), None),
        ("12.34", AmountUnit::Major, None, None),
        ("12.34", AmountUnit::Major, Some("XXX"), None),
        ("", AmountUnit::Minor, None, None),
        (".5", AmountUnit::Major, Some("EUR"), None),
        ("99999999999999999999", AmountUnit::Minor, None, None),
        ("1e3", AmountUnit::Minor, None, None),
        ("+1", AmountUnit::Minor, None, None),
    ] {
        assert_eq!(amount(written, unit, currency).ok(), expected, "{written} {currency:?}");
    }
}

#[test]
fn what_can_not_be_read_is_said_with_its_line() {
    let minor = format(&[], AmountUnit::Minor);
    for (name, content, part) in [
        ("a.csv", "reference,amount\nR,1\nR,x\n", "a.csv:3: \"x\" is no amount in minor units"),
        ("a.csv", "reference,amount\nR,1,2\n", "is not valid CSV"),
        ("a.csv", "id,amount\n7,1\n", "neither reference nor provider_ref"),
        ("a.csv", "reference\nR\n", "there is no amount"),
        (
            "a.csv",
            "reference,amount,kind\nR,1,payout\n",
            "\"payout\" is neither a charge nor a refund; leave such lines out with --ignore",
        ),
        ("a.json", "[{\"reference\":\"R\",\"amount\":1}, 7]", "a.json:2: neither reference"),
        ("a.json", "[{\"reference\":\"R\"", "can't be read as JSON"),
        ("a.jsonl", "{\"reference\":\"R\",\"amount\":1}\n{", "can't be read as JSON"),
    ] {
        let error = format!("{:#}", lines(name, content, &minor).expect_err(content));
        assert!(error.contains(part), "{content}: {error}");
    }
    assert!(read(Path::new("none.csv"), &minor, |_| Ok(())).is_err());
}

#[test]
fn a_column_is_one_of_the_names() {
    for text in ["amount", "amount=", "total=x", "=x"] {
        assert!(text.parse::<Column>().is_err(), "{text}");
    }
}
