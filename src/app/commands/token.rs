//! `figway token`: a signed token for development. It is as good as its key: keep production's keys away from it.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::app::cli::TokenArgs;
use crate::app::output::print_as;
use crate::auth::{self, SigningKey};
use crate::clock::Timestamp;

pub(crate) fn run(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    let claims = claims(args);
    let text = std::fs::read_to_string(&args.key).with_context(|| format!("the key {}", args.key.display()))?;
    let key = SigningKey::from_text(&text).with_context(|| format!("the key {}", args.key.display()))?;
    let token = auth::mint(&key, args.kid.as_deref(), claims, Timestamp::now(), args.ttl)?;
    let document = json!({ "token": token, "algorithm": key.algorithm().as_str(), "ttl_seconds": args.ttl.as_secs() });
    print_as(args.output.output, &document, |_| format!("{token}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn claims(args: &TokenArgs) -> Map<String, Value> {
    let mut claims = Map::new();
    if let Some(issuer) = &args.issuer {
        claims.insert("iss".into(), json!(issuer));
    }
    claims.insert("sub".into(), json!(args.subject));
    match args.audiences.as_slice() {
        [] => {}
        [one] => drop(claims.insert("aud".into(), json!(one))),
        several => drop(claims.insert("aud".into(), json!(several))),
    }
    claims.extend(args.claims.iter().map(|claim| (claim.name.clone(), claim.value.clone())));
    claims
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::app::cli::{Cli, Command};

    fn read(line: &str) -> Value {
        let Command::Token(args) = Cli::parse_from(line.split(' ')).command else { panic!("a token command") };
        Value::Object(claims(&args))
    }

    #[test]
    fn claims_come_from_the_options() {
        let claims = read(
            "figway token --key k --subject u1 --issuer i --audience a --audience b --claim role=staff --claim level=3",
        );
        let expected = json!({"iss": "i", "sub": "u1", "aud": ["a", "b"], "role": "staff", "level": 3});
        assert_eq!(claims, expected);
        assert_eq!(read("figway token --key k --subject u1 --audience a")["aud"], "a");
    }
}
