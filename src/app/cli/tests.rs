//! The command line as people type it.

use serde_json::json;

use super::*;

fn parse(line: &str) -> Result<Command, clap::Error> {
    Cli::read(line.split_whitespace().map(Into::into)).map(|cli| cli.command)
}

fn refused(line: &str) -> ErrorKind {
    match parse(line) {
        Ok(command) => panic!("{line:?} was read as {command:?}"),
        Err(error) => {
            assert_eq!(error.exit_code(), 2, "{line}");
            error.kind()
        }
    }
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_of_the_design_is_read() {
    for line in [
        "figway serve --config config/gateway.yaml",
        "figway check --config config/gateway.yaml --output json",
        "figway demo --no-traffic --port 8081 --admin-port 0",
        "figway explain GET /api/v1/members/7 --header x-app:ios --header x-b:1 --subject u1 --config f",
        "figway explain GET / --admin http://127.0.0.1:1 --token t",
        "figway health --admin http://127.0.0.1:1",
        "figway flags list",
        "figway flags show member-api --output json",
        "figway flags set member-api percent=25 stage=canary --reason ramp --yes",
        "figway flags kill member-api",
        "figway flags revive member-api --reason mended",
        "figway flags history member-api --limit 5",
        "figway flags undo member-api",
        "figway migrations",
        "figway payments list --status pending",
        "figway payments list --status manual --provider alpha --order o-1 --from 2026-11-21T20:00:00Z --before p1",
        "figway payments show p1",
        "figway payments resolve p1 --as not_processed --attempt 2 --reason asked",
        "figway payments resolve p1 --as succeeded --refund 1 --provider-ref r --reason asked",
        "figway payments weights",
        "figway payments weights alpha=0 beta=1000000 --reason drained --if-match 7",
        "figway token --key k.pem --subject u1 --issuer i --audience a --claim role=staff --ttl 15m --kid k1",
        "figway schema flags",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line:?}: {error}");
        }
    }
}

#[test]
fn wrong_usage_is_told_and_ends_with_2() {
    assert_eq!(refused("figway serve"), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused("figway check"), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused("figway flags set member-api --reason x"), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused("figway flags set member-api percent=1"), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused("figway flags set member-api percent --reason x"), ErrorKind::ValueValidation);
    assert_eq!(refused("figway flags set member-api percent=[1 --reason x"), ErrorKind::ValueValidation);
    assert_eq!(refused("figway flags history member-api --limit 0"), ErrorKind::ValueValidation);
    assert_eq!(refused("figway flags set m percent=1 percent=2 --reason x"), ErrorKind::ArgumentConflict);
    assert_eq!(refused("figway flags set m percent=1 --reason="), ErrorKind::InvalidValue);
    assert_eq!(refused("figway flags list --admin 127.0.0.1:9901"), ErrorKind::ValueValidation);
    assert_eq!(refused("figway token --key k --subject s --ttl 60"), ErrorKind::ValueValidation);
    assert_eq!(refused("figway token --key k --subject s --ttl 0s"), ErrorKind::ValueValidation);
    assert_eq!(refused("figway token --key k --subject s --claim a=1 --claim a=2"), ErrorKind::ArgumentConflict);
    assert_eq!(refused("figway token --key k --subject s --claim sub=t"), ErrorKind::ArgumentConflict);
    assert_eq!(refused("figway token --key k --subject s --issuer i --claim iss=j"), ErrorKind::ArgumentConflict);
    assert_eq!(refused("figway explain GET / --header nocolon"), ErrorKind::ValueValidation);
    assert_eq!(refused("figway explain G@T /"), ErrorKind::ValueValidation);
    assert_eq!(refused("figway explain GET members"), ErrorKind::ValueValidation);
    assert_eq!(refused("figway explain GET / --subject="), ErrorKind::InvalidValue);
    assert_eq!(refused("figway explain GET / --config f --admin http://x"), ErrorKind::ArgumentConflict);
    assert_eq!(refused("figway demo --port 70000"), ErrorKind::ValueValidation);
    assert_eq!(refused("figway serve --config f --output json"), ErrorKind::UnknownArgument);
    assert_eq!(refused("figway frobnicate"), ErrorKind::InvalidSubcommand);
    assert_eq!(refused("figway flags list --output yaml"), ErrorKind::InvalidValue);
}

#[test]
fn weights_that_can_be_none_are_wrong_usage() {
    for weight in ["alpha", "alpha=", "=1", "alpha=-1", "alpha=0.5", "alpha=many", "alpha=null", "alpha=1000001"] {
        assert_eq!(refused(&format!("figway payments weights {weight} --reason r")), ErrorKind::ValueValidation);
    }
    let doubled = refused("figway payments weights alpha=1 alpha=2 --reason r");
    assert_eq!(doubled, ErrorKind::ArgumentConflict);
    assert_eq!(refused("figway payments weights alpha=1"), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused("figway payments weights alpha=1 --reason="), ErrorKind::InvalidValue);
    assert_eq!(refused("figway payments weights --reason r"), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused("figway payments weights --if-match 7"), ErrorKind::MissingRequiredArgument);
}

#[test]
fn whether_people_or_programs_read_the_output_is_known_for_every_command() {
    let output = |line: &str| Cli::read(line.split_whitespace().map(Into::into)).map(|cli| cli.output).ok();
    assert_eq!(output("figway flags kill m --output json"), Some(Output::Json));
    assert_eq!(output("figway check --config f --output json"), Some(Output::Json));
    assert_eq!(output("figway flags list"), Some(Output::Table));
    assert_eq!(output("figway serve --config f"), Some(Output::Table));
}

#[test]
fn assignments_keep_their_types() {
    let line = "figway flags set m percent=12.5 stage=canary killed=false owner=null --reason r --if-match 7";
    let Ok(Command::Flags(FlagsCommand::Set(args))) = parse(line) else { panic!("a set command") };
    let values: Vec<_> = args.changes.into_iter().map(|change| change.value).collect();
    assert_eq!(values, [json!(12.5), json!("canary"), json!(false), json!(null)]);
    assert_eq!(args.raising.if_match, Some(7));
    assert!(!args.raising.yes);
}

#[test]
fn a_kill_needs_no_reason_and_has_an_honest_one() {
    let Ok(Command::Flags(FlagsCommand::Kill { reason, .. })) = parse("figway flags kill m") else {
        panic!("a kill command")
    };
    assert_eq!(reason, "kill switch, no reason given");
}
