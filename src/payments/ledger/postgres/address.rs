//! Where a PostgreSQL ledger is: the URL, and what it says about TLS.
//!
//! `sslmode` is `disable`, `require` or `verify-full`. The last two are the same here: whoever asks
//! for TLS gets a certificate check, by the system's roots or by `sslrootcert`. `allow` and `prefer`
//! are refused, because they would send the password in the clear when somebody in between asks for
//! that; `verify-ca`, because a certificate for another name proves nothing.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// How long one host may take to answer a connection attempt.
const CONNECT: Duration = Duration::from_secs(3);
/// After how long without an acknowledgement a connection counts as dead.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// A URL that was understood. Never shown: it holds a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresAddress {
    pub(super) config: Box<Config>,
    pub(super) tls: Tls,
}

/// What the URL says about TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tls {
    /// None.
    Off,
    /// With the certificate checked against these roots; the system's if there is no file.
    On { roots: Option<PathBuf> },
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresAddress")
    }
}

/// For people: hosts and database.
impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgreSQL at ")?;
        for (index, host) in self.config.get_hosts().iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            match host {
                Host::Tcp(name) => f.write_str(name)?,
                Host::Unix(folder) => write!(f, "{}", folder.display())?,
            }
        }
        write!(f, ", database {}", self.config.get_dbname().unwrap_or_default())
    }
}

impl PostgresAddress {
    /// Reads `postgres://user:password@host:port/database?sslmode=…`.
    ///
    /// # Errors
    /// What is wrong with it and how to mend it; never quotes the URL.
    pub fn parse(url: &str) -> Result<Self, String> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            let example = "postgres://user:password@host:5432/database?sslmode=verify-full";
            return Err(format!("has another form; write one such as \"{example}\""));
        }
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut roots, mut others) = (None, None, Vec::new());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value.to_owned()),
                Some(("sslrootcert", value)) => roots = Some(root_file(value)?),
                _ => others.push(parameter),
            }
        }
        let tls = match mode.as_deref() {
            None | Some("disable") if roots.is_some() => {
                return Err("names \"sslrootcert\" but asks for no TLS; write sslmode=verify-full".into());
            }
            None | Some("disable") => Tls::Off,
            Some("require" | "verify-full") => Tls::On { roots },
            Some(other) => {
                return Err(format!(
                    "says \"sslmode={other}\", which is not supported; write verify-full, or disable for no TLS"
                ));
            }
        };
        let rest = if others.is_empty() { address.to_owned() } else { format!("{address}?{}", others.join("&")) };
        let config = rest.parse::<Config>().map_err(|error| format!("is no address of PostgreSQL: {}", why(&error)))?;
        Self::checked(config, tls)
    }

    fn checked(mut config: Config, tls: Tls) -> Result<Self, String> {
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("names no host; write \"postgres://user:password@host/database\"".into());
        }
        if config.get_user().is_none() {
            return Err("names no user; write \"postgres://user:password@host/database\"".into());
        }
        if config.get_dbname().is_none() {
            return Err("names no database; write it after the host: \"postgres://…/database\"".into());
        }
        config.ssl_mode(if tls == Tls::Off { SslMode::Disable } else { SslMode::Require });
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        if config.get_application_name().is_none() {
            config.application_name("figway");
        }
        // Of several hosts the one that takes writes: never a standby.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self { config: Box::new(config), tls })
    }

    /// Whether a password or a payment could be read on the way.
    pub(super) fn is_exposed(&self) -> bool {
        let remote = |host: &Host| match host {
            Host::Tcp(name) => !matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
            Host::Unix(_) => false,
        };
        self.tls == Tls::Off && self.config.get_hosts().iter().any(remote)
    }
}

fn root_file(value: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(decoded(value).ok_or("has an \"sslrootcert\" that is no percent-encoded path")?);
    if path.is_absolute() { Ok(path) } else { Err("has an \"sslrootcert\" that is no absolute path; write one".into()) }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [char::from(bytes.next()?), char::from(bytes.next()?)];
                let [high, low] = digits.map(|digit| digit.to_digit(16));
                u8::try_from(high? * 16 + low?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

/// The innermost reason: the outer text only says that the configuration is invalid.
fn why(error: &(dyn std::error::Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        PostgresAddress::parse(url).expect_err(url)
    }

    #[test]
    fn a_url_says_where_the_ledger_is_and_whether_it_is_encrypted() {
        let plain = PostgresAddress::parse("postgres://u:p@db.example/shop").expect("good");
        assert_eq!((plain.tls.clone(), plain.is_exposed()), (Tls::Off, true));
        let local = PostgresAddress::parse("postgresql://u@localhost:5433/shop?connect_timeout=9").expect("good");
        assert!(!local.is_exposed());
        assert_eq!(local.config.get_connect_timeout(), Some(&Duration::from_secs(9)));
        let socket = PostgresAddress::parse("postgres://u@%2Fvar%2Frun%2Fpostgresql/shop").expect("good");
        assert!(!socket.is_exposed());
        let checked = PostgresAddress::parse("postgres://u:p@db/shop?sslmode=verify-full&sslrootcert=/etc/a%20b.pem");
        assert_eq!(checked.expect("good").tls, Tls::On { roots: Some("/etc/a b.pem".into()) });
        let required = PostgresAddress::parse("postgres://u:p@db/shop?application_name=x&sslmode=require");
        assert_eq!(required.expect("good").tls, Tls::On { roots: None });
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for mode in ["allow", "prefer", "verify-ca", "on"] {
            let problem = refused(&format!("postgres://u:secret@db/shop?sslmode={mode}"));
            assert!(problem.contains(mode) && problem.contains("verify-full"), "{problem}");
        }
        for (url, part) in [
            ("mysql://u@db/shop", "postgres://"),
            ("host=db user=u dbname=shop", "postgres://"),
            ("postgres://u@db", "database"),
            ("postgres://db/shop", "user"),
            ("postgres://u:secret@db/shop?colour=red", "colour"),
            ("postgres://u:secret@db/shop?sslrootcert=/ca.pem", "verify-full"),
            ("postgres://u:secret@db/shop?sslmode=require&sslrootcert=ca.pem", "absolute"),
            ("postgres://u:secret@db:port/shop", "port"),
        ] {
            let problem = refused(url);
            assert!(problem.contains(part) && !problem.contains("secret"), "{url}: {problem}");
        }
    }

    #[test]
    fn a_url_is_never_shown() {
        let address = PostgresAddress::parse("postgres://u:secret@db/shop").expect("good");
        assert_eq!(format!("{address:?}"), "PostgresAddress");
        assert_eq!(address.to_string(), "PostgreSQL at db, database shop");
    }
}
