//! What the demo prints: where everything is, and a walk of five minutes whose every line can be pasted.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything that the guide mentions.
#[derive(Debug)]
pub(super) struct Guide {
    /// How to call this very program from a shell in the current folder.
    pub(super) figway: String,
    /// The gateway.
    pub(super) gateway: SocketAddr,
    /// Its control plane.
    pub(super) admin: SocketAddr,
    /// The desk for the providers.
    pub(super) desk: SocketAddr,
    /// The folder of flags.
    pub(super) flags: PathBuf,
    /// The files are a copy that goes away with the demo.
    pub(super) private: bool,
    /// The demo sends traffic of its own.
    pub(super) traffic: bool,
    /// What tells this run's orders from those of an earlier one, which the ledger still knows.
    pub(super) run: String,
    /// Member 7's token.
    pub(super) token: String,
    /// A token with the role `staff`.
    pub(super) staff_token: String,
}

/// How to call this program again: as short as it works from the current folder, quoted for a shell.
pub(super) fn command_name() -> String {
    let Ok(program) = std::env::current_exe() else { return "figway".into() };
    let relative = std::env::current_dir().ok().and_then(|here| program.strip_prefix(here).ok().map(PathBuf::from));
    quote(&relative.unwrap_or(program).to_string_lossy())
}

fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

impl fmt::Display for Guide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.places(f)?;
        self.calls(f)?;
        self.flag_changes(f)?;
        self.payments(f)
    }
}

impl Guide {
    fn places(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gateway, admin, desk, .. } = self;
        let flags = self.flags.display();
        let files =
            if self.private { "a private copy, removed at the end" } else { "edit them: within a second it counts" };
        let traffic = if self.traffic { "20 requests a second, and a payment every three" } else { "none but yours" };
        writeln!(
            f,
            "
Figway demo. Ctrl-C ends it.

  gateway    http://{gateway}    the one way in for all clients
  control    http://{admin}    status; also /metrics and /admin/v1/flags
  providers  http://{desk}    break them, mend them, read their books
  flags      {flags}    {files}
  traffic    {traffic}

Paste what follows into a second terminal, in this folder.

0. Say who you are
     export FIGWAY_ADMIN=http://{admin}
     export TOKEN={token}
     export STAFF={staff}",
            token = self.token,
            staff = self.staff_token,
        )
    }

    fn calls(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gateway, figway, .. } = self;
        writeln!(
            f,
            "
1. Call: the gateway checks the token, asks the flag, and says in x-figway-decision why it went where it went
     curl -si -H \"Authorization: Bearer $TOKEN\" http://{gateway}/api/v1/members/7
     curl -si -H \"Authorization: Bearer $STAFF\" http://{gateway}/api/v1/members/7
     curl -si http://{gateway}/api/v1/members/7
     {figway} explain GET /api/v1/members/7 --subject member-7"
        )
    }

    fn flag_changes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gateway, figway, .. } = self;
        let flags = quote(&self.flags.to_string_lossy());
        writeln!(
            f,
            "
2. Flip the flag, by command or with an editor, and call again: x-served-by changes, no request fails
     {figway} flags set member-api stage=new --reason \"trying it\" --yes
     curl -si -H \"Authorization: Bearer $TOKEN\" http://{gateway}/api/v1/members/7
     grep -n stage: {flags}/members.yaml
     perl -pi -e 's/stage: new/stage: canary/' {flags}/members.yaml

3. Kill it: everything back to the monolith, whatever else the flag says; then undo, and read who did what and why
     {figway} flags kill member-api --reason \"too slow\"
     curl -si -H \"Authorization: Bearer $STAFF\" http://{gateway}/api/v1/members/7
     {figway} flags undo member-api --reason \"it was the network\" --yes
     {figway} flags history member-api"
        )
    }

    fn payments(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gateway, desk, figway, run, .. } = self;
        let pay = format!(
            "curl -s -H \"Authorization: Bearer $TOKEN\" -H \"Content-Type: application/json\" \
             http://{gateway}/api/v1/payments"
        );
        writeln!(
            f,
            "
4. Pay, then break provider alpha and pay anyway: beta takes over, and nobody is charged twice
     {pay} -H \"Idempotency-Key: {run}-1\" -d '{first}'
     curl -s 'http://{desk}/alpha/outage?mode=down'
     for n in 2 3 4 5 6; do {pay} -H \"Idempotency-Key: {run}-$n\" -d '{again}'; echo; done
     {figway} payments list
     curl -s http://{desk}/books
     curl -s 'http://{desk}/alpha/outage?mode=off'
   Other ways to break it: errors, slow, lost (it charges and hangs up), full. See http://{desk}
",
            first = order(&format!("{run}-1")),
            // The quotes end and begin again around the shell's variable.
            again = order(&format!("{run}-'$n'")),
        )
    }
}

fn order(id: &str) -> String {
    format!(
        r#"{{"order_id":"{id}","amount":19900,"currency":"KRW","method":"card","token":"tok_demo","metadata":{{"order":"{id}"}}}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guide(private: bool, flags: &str) -> String {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Guide {
            figway: "target/debug/figway".into(),
            gateway: address(8080),
            admin: address(9901),
            desk: address(7100),
            flags: flags.into(),
            private,
            traffic: true,
            run: "r1".into(),
            token: "t.t.t".into(),
            staff_token: "s.s.s".into(),
        }
        .to_string()
    }

    #[test]
    fn says_whose_files_they_are() {
        assert!(guide(false, "flags").contains("flags      flags    edit them"));
        assert!(guide(true, "/tmp/x/flags").contains("/tmp/x/flags    a private copy"));
    }

    #[test]
    fn folders_with_spaces_can_be_pasted() {
        assert!(guide(true, "/tmp/it's here/flags").contains(r"'/tmp/it'\''s here/flags'/members.yaml"));
        assert_eq!(quote("target/debug/figway"), "target/debug/figway");
        assert_eq!(quote(""), "''");
    }

    #[test]
    fn every_line_to_paste_is_a_whole_command() {
        for line in guide(false, "flags").lines().filter(|line| line.starts_with("     ")) {
            let first = line.split_whitespace().next().unwrap_or_default();
            assert!(
                matches!(first, "export" | "curl" | "target/debug/figway" | "grep" | "perl" | "for"),
                "what is {line:?}?"
            );
            assert_eq!(line.matches('"').count() % 2, 0, "{line:?}");
        }
    }

    #[test]
    fn an_order_is_json_with_a_name_of_its_own() {
        let order: serde_json::Value = serde_json::from_str(&order("first")).expect("JSON");
        assert_eq!((&order["order_id"], &order["metadata"]["order"]), (&"first".into(), &"first".into()));
    }
}
