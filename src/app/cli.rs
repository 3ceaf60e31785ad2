//! The command line: every command, option and default. What they do stands in `commands`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use super::admin_client::AdminUrl;
use super::commands::assignment::{Assignment, HeaderField};
use crate::units::parse_duration;

mod export_args;
mod payment_args;
mod payment_trial;

pub(crate) use export_args::{AmountUnit, ExportArgs, FormatArgs};
pub(crate) use payment_args::{PaymentListArgs, PaymentResolveArgs, PaymentsCommand, Weight, WeightsArgs};
pub(crate) use payment_trial::TryArgs;

/// API gateway for the years in which a monolith is being replaced.
#[derive(Debug, Parser)]
#[command(
    name = "figway",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 a problem was found or refused, 2 wrong usage."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// What the command prints, whichever it is.
    #[arg(skip)]
    pub(crate) output: Output,
}

impl Cli {
    /// Reads a command line.
    ///
    /// # Errors
    /// Wrong usage, with the text to print; also a request for help or the version.
    pub(crate) fn read(line: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches_from(line)?;
        if let Some(("explain", explain)) = matches.subcommand()
            && explain.contains_id("config")
        {
            // Not clap's conflicts_with: FIGWAY_ADMIN in the environment must not forbid --config.
            let typed = |name: &&&str| explain.value_source(name) == Some(ValueSource::CommandLine);
            if let Some(option) = ["admin", "token"].iter().find(typed) {
                let message = format!("--config explains without a gateway; leave out --{option}");
                return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
            }
        }
        let mut cli = Self::from_arg_matches(&matches)?;
        if let Err(message) = cli.command.is_consistent() {
            return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
        }
        cli.output = output(&matches);
        Ok(cli)
    }
}

/// The option `--output` of the innermost command, which is a table where there is none.
fn output(matches: &ArgMatches) -> Output {
    let mut innermost = matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    innermost.try_get_one("output").ok().flatten().copied().unwrap_or_default()
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway.
    Serve(ServeArgs),
    /// Report every problem of the configuration and the flags at once.
    Check(CheckArgs),
    /// Run the gateway with sample services, payment providers and a little traffic, in one process.
    Demo(DemoArgs),
    /// Say where a request would go and why, without sending it.
    Explain(ExplainArgs),
    /// List and change the flags of a running gateway.
    #[command(subcommand)]
    Flags(FlagsCommand),
    /// Stage, share, owner and age of every migration.
    Migrations(MigrationsArgs),
    /// Look at the payments of a running gateway, and settle what it could not; try an adapter.
    #[command(subcommand)]
    Payments(PaymentsCommand),
    /// Say whether a running gateway takes traffic; for health checks.
    Health(HealthArgs),
    /// Sign a development token with a key from a file.
    Token(TokenArgs),
    /// Print the JSON Schema of a kind of file.
    Schema(SchemaArgs),
}

impl Command {
    /// What the definition alone can't say: which arguments contradict each other.
    fn is_consistent(&self) -> Result<(), String> {
        match self {
            Self::Flags(FlagsCommand::Set(args)) => given_once(args.changes.iter().map(|one| one.name.as_str())),
            Self::Token(args) => args.is_consistent(),
            Self::Payments(PaymentsCommand::Weights(args)) => {
                given_once(args.weights.iter().map(|one| one.provider.as_str()))
            }
            Self::Payments(PaymentsCommand::Try(args)) => args.is_consistent(),
            _ => Ok(()),
        }
    }
}

fn given_once<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("{name} is given twice; give it one value"));
        }
    }
    Ok(())
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration file, e.g. config/gateway.yaml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Send no traffic of its own
    #[arg(long)]
    pub(crate) no_traffic: bool,
    /// Port of the gateway on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(crate) port: u16,
    /// Port of the control plane on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 9901)]
    pub(crate) admin_port: u16,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration file, e.g. config/gateway.yaml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Method, e.g. GET
    #[arg(value_name = "METHOD", value_parser = method)]
    pub(crate) method: http::Method,
    /// Path as a client would write it, e.g. /api/v1/members/7
    #[arg(value_name = "PATH", value_parser = path)]
    pub(crate) path: String,
    /// A header field; may stand several times
    #[arg(long = "header", value_name = "NAME:VALUE")]
    pub(crate) headers: Vec<HeaderField>,
    /// Host that the client asks for
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Pretend that a caller with this subject is authenticated
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) subject: Option<String>,
    /// Explain by this configuration, without a gateway; else a running gateway is asked
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// People type methods in lower case; HTTP knows none of those.
fn method(text: &str) -> Result<http::Method, String> {
    let upper = text.to_ascii_uppercase();
    http::Method::from_bytes(upper.as_bytes()).map_err(|_| "it is not a method; write e.g. GET".into())
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err(format!("it begins with a slash; write e.g. /{text}")) }
}

/// Which gateway to talk to, and how to print its answer.
#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    /// Control plane of the gateway
    #[arg(long, value_name = "URL", env = "FIGWAY_ADMIN", default_value = "http://127.0.0.1:9901")]
    pub(crate) admin: AdminUrl,
    /// Token for the control plane
    #[arg(long, value_name = "SECRET", env = "FIGWAY_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct OutputArgs {
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns
    #[default]
    Table,
    /// One JSON document
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FlagsCommand {
    /// Every flag and what it says.
    List(GatewayArgs),
    /// One flag with its routes, owner and last change.
    Show {
        /// Key of the flag
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        key: String,
        #[command(flatten)]
        gateway: GatewayArgs,
    },
    /// Change a flag, e.g. figway flags set member-api stage=canary percent=25 --reason "second week"
    Set(SetArgs),
    /// Send everything to the old side, at once and without asking.
    Kill {
        /// Key of the flag
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        key: String,
        /// Why, for the history
        #[arg(long, default_value = "kill switch, no reason given", value_parser = NonEmptyStringValueParser::new())]
        reason: String,
        #[command(flatten)]
        gateway: GatewayArgs,
    },
    /// Take a kill back.
    Revive {
        /// Key of the flag
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        key: String,
        /// Why, for the history
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        reason: String,
        #[command(flatten)]
        raising: RaisingArgs,
        #[command(flatten)]
        gateway: GatewayArgs,
    },
    /// Who changed a flag, when, how and why; newest first.
    History {
        /// Key of the flag
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        key: String,
        /// At most so many changes
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=100))]
        limit: u16,
        #[command(flatten)]
        gateway: GatewayArgs,
    },
    /// Take the last change of a flag back.
    Undo {
        /// Key of the flag
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        key: String,
        /// Why, for the history; unless given, it names the change that is taken back
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        reason: Option<String>,
        #[command(flatten)]
        raising: RaisingArgs,
        #[command(flatten)]
        gateway: GatewayArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Key of the flag
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) key: String,
    /// What to change; the value is JSON (25, true, null, [...]) or else text
    #[arg(required = true, value_name = "NAME=VALUE")]
    pub(crate) changes: Vec<Assignment>,
    /// Why, for the history
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) raising: RaisingArgs,
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// How to treat a change that sends more traffic to something new.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct RaisingArgs {
    /// Do not ask before traffic is raised
    #[arg(long)]
    pub(crate) yes: bool,
    /// Change only if the flag did not change since this revision; else the current one
    #[arg(long, value_name = "REVISION")]
    pub(crate) if_match: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct MigrationsArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Private key: PEM or JWK
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Whom the token is for (sub)
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) subject: String,
    /// Who issues it (iss)
    #[arg(long)]
    pub(crate) issuer: Option<String>,
    /// Whom it is meant for (aud); may stand several times
    #[arg(long = "audience", value_name = "AUDIENCE")]
    pub(crate) audiences: Vec<String>,
    /// A further claim; the value is JSON or else text; may stand several times
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    pub(crate) claims: Vec<Assignment>,
    /// How long it holds, e.g. 15m
    #[arg(long, default_value = "1h", value_parser = lifetime)]
    pub(crate) ttl: Duration,
    /// Id of the key; the key's thumbprint unless given
    #[arg(long)]
    pub(crate) kid: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

impl TokenArgs {
    fn is_consistent(&self) -> Result<(), String> {
        given_once(self.claims.iter().map(|one| one.name.as_str()))?;
        let options = [("sub", true), ("iss", self.issuer.is_some()), ("aud", !self.audiences.is_empty())];
        match options.iter().find(|(name, given)| *given && self.claims.iter().any(|claim| claim.name == *name)) {
            Some((name, _)) => Err(format!("claim {name} has an option of its own; give it once")),
            None => Ok(()),
        }
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = parse_duration(text).map_err(|error| error.to_string())?;
    // Tokens count in whole seconds.
    if lifetime.as_secs() > 0 { Ok(lifetime) } else { Err("a token that never holds is none; write e.g. 15m".into()) }
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Which kind of file
    #[arg(value_enum)]
    pub(crate) of: SchemaOf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// The configuration file
    Config,
    /// A file of flags
    Flags,
    /// An adapter for payment providers
    Provider,
}

#[cfg(test)]
mod tests;
