//! The receivers of `receivers.py`, in one process for all tests, which ends with this one.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::LazyLock;

use crate::python;

const REQUIREMENTS: &str = include_str!("requirements.txt");

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/alerts");

struct Receivers {
    /// Its standard input is held open: the end of that ends it.
    _process: Child,
    said: Value,
}

static RECEIVERS: LazyLock<Receivers> = LazyLock::new(|| {
    let python = python::installed("aiosmtpd", REQUIREMENTS);
    let script = format!(
        "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {FOLDER:?}); import receivers; receivers.main()"
    );
    let mut process = python::run(python, &script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    // It says its ports when all of them listen, and no earlier.
    BufReader::new(process.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let said = serde_json::from_str(&line)
        .expect("the receivers did not start; openssl and a package index are needed");
    Receivers {
        _process: process,
        said,
    }
});

/// A port by its name, or a secret.
pub(crate) fn said(name: &str) -> String {
    match &RECEIVERS.said[name] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => panic!("{name}: {other}"),
    }
}

/// An address of the receivers, in the clear.
pub(crate) fn url(path: &str) -> String {
    format!("http://127.0.0.1:{}/{path}", said("http"))
}

/// What a receiver got so far, oldest first.
pub(crate) fn received(name: &str) -> Vec<Value> {
    let port: u16 = said("http").parse().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET /received/{name} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}
