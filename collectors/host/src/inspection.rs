//! One run's reads: each is noted as a call of the provenance, in the order in which it was made.
//!
//! A file is read once however many facts rest on it, so that they can't contradict each other.

use chrono::{DateTime, Utc};
use evidenced_collector_api::{Call, CallTimer, Raw, Run};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::machine::{Fault, Machine, Output};

/// What was read so far, and what is missing from the whole population.
pub(crate) struct Inspection<'a> {
    pub(crate) machine: &'a dyn Machine,
    run: &'a Run<'a>,
    pub(crate) calls: Vec<Call>,
    pub(crate) raw: Vec<Raw>,
    /// Each a sentence part for an auditor: why the resources are not everything.
    pub(crate) shortfalls: Vec<String>,
    texts: BTreeMap<String, Noted<String>>,
}

/// An answer, or why there is none, and the call that asked.
#[derive(Clone, Debug)]
pub(crate) struct Noted<T> {
    /// Position in the provenance.
    pub(crate) call: usize,
    /// The path or command line.
    pub(crate) what: String,
    /// What came back.
    pub(crate) answer: Result<T, Fault>,
}

impl<T> Noted<T> {
    /// The answer, or a reason for `unknown`.
    pub(crate) fn known(&self) -> Result<&T, String> {
        self.answer
            .as_ref()
            .map_err(|fault| format!("{}: {fault}", self.what))
    }

    /// True only if it is certain that there is no such thing.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.answer, Err(Fault::Absent))
    }
}

impl Noted<Output> {
    /// Standard output as text, if the command ended well.
    pub(crate) fn success(&self) -> Result<String, String> {
        let output = self.known()?;
        if output.exit == Some(0) {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("{}: ended with {}", self.what, ending(output)))
        }
    }
}

impl<'a> Inspection<'a> {
    pub(crate) fn begin(machine: &'a dyn Machine, run: &'a Run<'a>) -> Self {
        Self {
            machine,
            run,
            calls: Vec::new(),
            raw: Vec::new(),
            shortfalls: Vec::new(),
            texts: BTreeMap::new(),
        }
    }

    /// A file's text.
    pub(crate) fn read(&mut self, path: &str) -> Noted<String> {
        self.text(path, true)
    }

    /// A file that may hold secrets: not even its digest is noted.
    pub(crate) fn read_secret(&mut self, path: &str) -> Noted<String> {
        self.text(path, false)
    }

    fn text(&mut self, path: &str, digest: bool) -> Noted<String> {
        if let Some(noted) = self.texts.get(path) {
            return noted.clone();
        }
        let timer = self.run.call("file", path);
        let answer = self.machine.read(path);
        let body = answer.as_deref().ok().filter(|_| digest);
        let text = answer
            .clone()
            .map(|body| String::from_utf8_lossy(&body).into_owned());
        let noted = self.note(timer, path, text, body);
        self.texts.insert(path.to_owned(), noted.clone());
        noted
    }

    /// The names in a folder, sorted.
    pub(crate) fn list(&mut self, path: &str) -> Noted<Vec<String>> {
        let timer = self.run.call("folder", path);
        let answer = self.machine.list(path);
        let noted = self.note(timer, path, answer, None);
        if let Ok(names) = &noted.answer {
            self.counted(noted.call, names.len());
        }
        noted
    }

    /// Where a symbolic link points.
    pub(crate) fn link(&mut self, path: &str) -> Noted<String> {
        let timer = self.run.call("link", path);
        let answer = self.machine.link(path);
        self.note(timer, path, answer, None)
    }

    /// When a file was last changed.
    pub(crate) fn modified(&mut self, path: &str) -> Noted<DateTime<Utc>> {
        let timer = self.run.call("modified", path);
        let answer = self.machine.modified(path);
        self.note(timer, path, answer, None)
    }

    /// A command's answer, however it ended.
    pub(crate) async fn command(&mut self, program: &str, arguments: &[&str], seconds: u64) -> Noted<Output> {
        let line = [&[program], arguments].concat().join(" ");
        let timer = self.run.call("command", &line);
        let answer = self
            .machine
            .command(program, arguments, Duration::from_secs(seconds))
            .await;
        let status = match &answer {
            Ok(output) => ending(output),
            Err(Fault::Absent) => "not found".to_owned(),
            Err(fault) => fault.status(),
        };
        let mut call = timer.finish(
            status,
            answer.as_ref().ok().map(|output| output.stdout.as_slice()),
        );
        call.error = answer
            .as_ref()
            .ok()
            .map(|output| {
                String::from_utf8_lossy(&output.stderr)
                    .trim()
                    .chars()
                    .take(500)
                    .collect()
            })
            .filter(|words: &String| !words.is_empty());
        self.calls.push(call);
        Noted {
            call: self.calls.len() - 1,
            what: line,
            answer,
        }
    }

    /// Notes many small reads as one call, where their number varies from run to run.
    pub(crate) fn many<T>(
        &mut self,
        what: &str,
        read: impl FnOnce(&dyn Machine) -> Result<T, Fault>,
    ) -> Noted<T> {
        let timer = self.run.call("file", what);
        let answer = read(self.machine);
        self.note(timer, what, answer, None)
    }

    /// Says how many items a call's answer held.
    pub(crate) fn counted(&mut self, call: usize, items: usize) {
        self.calls[call].items = items as u64;
    }

    /// Says what was removed from a call's answer before it was kept.
    pub(crate) fn removed(&mut self, call: usize, what: &str) {
        self.calls[call]
            .parameters
            .insert("removed".to_owned(), what.into());
    }

    /// Keeps the body that a call answered.
    pub(crate) fn keep(&mut self, call: usize, body: impl Into<Vec<u8>>) {
        self.raw.push(Raw {
            call,
            media_type: "text/plain".to_owned(),
            body: body.into(),
        });
    }

    fn note<T>(
        &mut self,
        timer: CallTimer<'_>,
        what: &str,
        answer: Result<T, Fault>,
        body: Option<&[u8]>,
    ) -> Noted<T> {
        let status = answer.as_ref().err().map_or("ok".to_owned(), Fault::status);
        self.calls.push(timer.finish(status, body));
        Noted {
            call: self.calls.len() - 1,
            what: what.to_owned(),
            answer,
        }
    }
}

fn ending(output: &Output) -> String {
    output
        .exit
        .map_or_else(|| "a signal".to_owned(), |code| format!("exit {code}"))
}
