//! `figway payments try` against a listener that answers one request.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::thread::JoinHandle;

use super::REFERENCE;

/// Answers one request with 200 and this body, and gives back what was asked; with `None` it expects nobody.
fn listener(body: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a caller");
        let mut asked = Vec::new();
        let mut piece = [0; 1024];
        while !asked.windows(4).any(|window| window == b"\r\n\r\n") {
            let count = stream.read(&mut piece).expect("readable");
            asked.extend_from_slice(&piece[..count]);
        }
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).expect("writable");
        String::from_utf8(asked).expect("text")
    });
    (url, asked)
}

fn figway(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_figway"));
    command.args(["payments", "try"]).args(arguments).env("TRIAL_KEY", "sk_very_secret");
    command.output().expect("the program")
}

#[test]
fn a_look_is_sent_shown_and_judged_without_showing_the_secret() {
    let body = r#"{"id":"ch_1","status":"succeeded","order_reference":"01M7Y3A9VY0FQQAMKRC02P2MQT-1","amount":1234,"currency":"EUR","you":"sk_very_secret"}"#;
    let (url, asked) = listener(body);
    let output = figway(&[
        "canonical",
        "--operation",
        "lookup",
        "--reference",
        REFERENCE,
        "--base-url",
        &url,
        "--credential",
        "api_key=TRIAL_KEY",
    ]);
    let shown = String::from_utf8_lossy(&output.stdout);
    let asked = asked.join().expect("asked").to_lowercase();
    assert!(asked.starts_with("get /payments?order_reference=") && asked.contains("bearer sk_very_secret"), "{asked}");
    assert!(output.status.success() && shown.contains("class: succeeded"), "{shown}");
    assert!(shown.contains("because: classify[0]: `status == 200"), "{shown}");
    assert!(!shown.contains("sk_very_secret"), "{shown}");
}

#[test]
fn what_may_move_money_is_shown_and_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let output = figway(&[
        "canonical",
        "--operation",
        "charge",
        "--reference",
        REFERENCE,
        "--base-url",
        &url,
        "--token",
        "tok_private",
    ]);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && shown.contains("POST") && shown.contains("add --really"), "{shown}");
    assert!(!shown.contains("tok_private") && shown.contains("[token]"), "{shown}");
    assert!(listener.accept().is_err(), "somebody called");
}

#[test]
fn an_answer_about_something_else_is_unknown() {
    let (url, asked) =
        listener(r#"{"id":"ch_1","status":"succeeded","order_reference":"another","amount":1234,"currency":"EUR"}"#);
    let output = figway(&["canonical", "--operation", "lookup", "--reference", REFERENCE, "--base-url", &url]);
    let shown = String::from_utf8_lossy(&output.stdout);
    asked.join().expect("asked");
    assert!(!output.status.success() && shown.contains("doubt: mismatch"), "{shown}");
    assert!(shown.contains("about another order reference"), "{shown}");
}

#[test]
fn what_cannot_be_tried_says_why() {
    for (arguments, code, expected) in [
        (&["canonical", "--operation", "lookup"][..], 2, "--base-url is missing"),
        (&["alpha", "--operation", "lookup"], 2, "with --config FILE"),
        (&["canonical", "--operation", "lookup", "--config", "gateway.yaml"], 2, "--config is for a provider's name"),
        (&["canonical", "--operation", "look"], 2, "there is no such operation"),
        (&["nowhere.yaml", "--operation", "lookup", "--base-url", "http://127.0.0.1:1"], 1, "can't be read"),
    ] {
        let output = figway(&[arguments, &["--reference", REFERENCE]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn what_no_payment_could_have_is_not_tried() {
    let try_with = |arguments: &[&str]| {
        let standard = ["canonical", "--operation", "charge", "--base-url", "http://127.0.0.1:1", "--really"];
        let output = figway(&[&standard[..], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        (output.status.code(), said)
    };
    for (arguments, status, part) in [
        (&["--reference", "two words"][..], 2, "6 to 64 characters"),
        (&["--reference", "short"], 2, "6 to 64 characters"),
        (&["--reference", REFERENCE, "--amount", "0"], 2, "--amount"),
        (&["--reference", REFERENCE, "--currency", "eur"], 2, "ISO 4217"),
        (&["--reference", REFERENCE, "--config", "x", "--credential", "api_key=TRIAL_KEY"], 2, "cannot be used with"),
        (&["--reference", REFERENCE, "--token", "4242424242424242"], 2, "--token holds a card number"),
    ] {
        let (code, said) = try_with(arguments);
        assert!(code == Some(status) && said.contains(part), "{arguments:?}: {code:?} {said}");
        assert!(!said.contains("4242424242424242"), "{said}");
    }
}
