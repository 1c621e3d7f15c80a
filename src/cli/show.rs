//! `evidenced show SEQ`: a leaf with its evidence, provenance and findings.

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use comfy_table::Cell;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::io::{IsTerminal as _, Write};

use super::exit::{Exit, UsageError};
use super::style::{self, Style};
use super::{Common, Format, print_json, setup};
use crate::control::{Finding, Outcome, TestResult};
use crate::log::leaf::{self, BlobRef, Body, EvaluationLeaf, Leaf, Role};
use crate::log::store::Reader;
use crate::log::{start, tree};
use crate::populations::sealed;

/// Show a leaf with its evidence, provenance and findings
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced show 3                              a snapshot: resources, how they were obtained
  evidenced show 4                              an evaluation: every test on every resource
  evidenced show 1 --blob plan                  the rules in force
  evidenced show 3 --blob SHA256 | sha256sum    an answer as received, byte for byte
  evidenced show 9 --blob file > review.pdf     the file of an attachment, byte for byte
  evidenced show 3 --proof                      that the leaf is in the log, for somebody else to check")]
pub(super) struct Arguments {
    /// The leaf's position in the log
    seq: u64,
    /// Print only the payload of this blob: a role (evidence, raw, provenance, findings, plan, scope, file, population, sample) or a digest
    #[arg(long, value_name = "ROLE|SHA256", conflicts_with = "proof")]
    blob: Option<String>,
    /// Print a C2SP tlog-proof that the leaf is in the log
    #[arg(long)]
    proof: bool,
}

#[derive(Serialize)]
struct Shown {
    seq: u64,
    hash: String,
    leaf: Box<RawValue>,
    blobs: Vec<ShownBlob>,
}

#[derive(Serialize)]
struct ShownBlob {
    role: Role,
    sha256: String,
    size: u64,
    media_type: String,
    /// JSON payloads as they are, others as text where they are UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Value>,
    /// A payload that is no text, in base64. Where neither is given, the store no longer has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let reader = setup::reader(common)?;
    let (seq, size) = (arguments.seq, reader.size()?);
    let Some(bytes) = setup::committed_leaf(&reader, seq)? else {
        let last = size.saturating_sub(1);
        return Err(UsageError::error(
            format!("there is no leaf {seq}"),
            format!("the log holds leaves 0 to {last}"),
        ));
    };
    let leaf = leaf::decode(&bytes)?;
    if arguments.proof {
        return print_proof(out, &reader, seq);
    }
    if let Some(wanted) = &arguments.blob {
        return print_blobs(out, &reader, &leaf.blobs, wanted);
    }
    let raw = RawValue::from_string(String::from_utf8(bytes.clone())?)?;
    match common.format {
        Format::Json => {
            let blobs = leaf
                .blobs
                .iter()
                .map(|blob| shown(&reader, blob))
                .collect::<Result<_>>()?;
            print_json(
                out,
                &Shown {
                    seq,
                    hash: hex::encode(tree::hash_leaf(&bytes)),
                    leaf: raw,
                    blobs,
                },
            )?;
        }
        Format::Text => print_text(out, &reader, &leaf, &bytes)?,
    }
    Ok(Exit::Well)
}

fn shown(reader: &Reader, blob: &BlobRef) -> Result<ShownBlob> {
    let bytes = reader.payload(&blob.sha256)?;
    let payload = bytes.as_ref().and_then(|bytes| {
        let json = (blob.media_type == "application/json")
            .then(|| serde_json::from_slice(bytes).ok())
            .flatten();
        json.or_else(|| Some(Value::String(std::str::from_utf8(bytes).ok()?.to_owned())))
    });
    Ok(ShownBlob {
        role: blob.role.clone(),
        sha256: hex::encode(blob.sha256),
        size: blob.size,
        media_type: blob.media_type.clone(),
        payload_base64: bytes
            .filter(|_| payload.is_none())
            .map(|bytes| BASE64_STANDARD.encode(bytes)),
        payload,
    })
}

/// Payloads byte for byte, so that one of them can be hashed; only a terminal gets a last newline that is not theirs.
fn print_blobs(out: &mut dyn Write, reader: &Reader, blobs: &[BlobRef], wanted: &str) -> Result<Exit> {
    let role = |blob: &BlobRef| serde_json::to_value(&blob.role).is_ok_and(|role| role == wanted);
    let mut wanted_blobs = blobs
        .iter()
        .filter(|blob| role(blob) || hex::encode(blob.sha256) == wanted)
        .peekable();
    if wanted_blobs.peek().is_none() {
        return Err(UsageError::error(
            format!("the leaf names no blob {wanted:?}"),
            "run `evidenced show SEQ` to see which it names",
        ));
    }
    while let Some(blob) = wanted_blobs.next() {
        let payload = reader.payload(&blob.sha256)?.ok_or_else(|| {
            UsageError::error(
                format!("the store no longer has blob {}", hex::encode(blob.sha256)),
                "its digest stands in the leaf: look for the payload in a copy or an earlier bundle",
            )
        })?;
        out.write_all(&payload)?;
        let more = wanted_blobs.peek().is_some();
        if (more || std::io::stdout().is_terminal()) && payload.last() != Some(&b'\n') {
            writeln!(out)?;
        }
    }
    Ok(Exit::Well)
}

/// C2SP tlog-proof: the index, the audit path, and the checkpoint that it leads to.
fn print_proof(out: &mut dyn Write, reader: &Reader, seq: u64) -> Result<Exit> {
    // No signature leaves the process before the guard has it.
    start::check_end(reader)?;
    let note = reader.checkpoint()?;
    let proof = reader.inclusion_proof(seq, setup::checkpoint(&note)?.size)?;
    let proof = proof.context("the newest checkpoint does not cover the leaf")?;
    writeln!(out, "c2sp.org/tlog-proof@v1\nindex {seq}")?;
    for hash in proof {
        writeln!(out, "{}", BASE64_STANDARD.encode(hash))?;
    }
    write!(out, "\n{note}")?;
    Ok(Exit::Well)
}

fn print_text(out: &mut dyn Write, reader: &Reader, leaf: &Leaf, bytes: &[u8]) -> Result<()> {
    let style = Style::of_stdout();
    print_fields(out, style, bytes)?;
    if let Some(Body::Evaluation(evaluation)) = &leaf.body {
        print_results(out, style, evaluation)?;
    }
    for blob in &leaf.blobs {
        let role = serde_json::to_value(&blob.role)?;
        let role = role.as_str().unwrap_or_default();
        writeln!(
            out,
            "\n{}  {} bytes, {}, {}",
            style.strong(role),
            blob.size,
            blob.media_type,
            hex::encode(blob.sha256)
        )?;
        let Some(payload) = reader.payload(&blob.sha256)? else {
            writeln!(out, "  {}", style.bad("the store no longer has it"))?;
            continue;
        };
        match blob.role {
            Role::Evidence => print_evidence(out, style, &payload)?,
            Role::Provenance => print_provenance(out, style, &payload)?,
            Role::Findings => print_findings(out, style, &payload)?,
            Role::Resources => print_resources(out, &payload)?,
            Role::Population | Role::Sample => print_listed(out, style, &payload)?,
            Role::File => {
                let command = format!("`evidenced show {} --blob file > FILE` writes it", leaf.seq);
                writeln!(out, "  {}", style.faint(&command))?;
            }
            _ => writeln!(out, "  {}", style.faint("print it with --blob"))?,
        }
    }
    Ok(())
}

/// The leaf's own fields: first what says which it is.
fn print_fields(out: &mut dyn Write, style: Style, bytes: &[u8]) -> Result<()> {
    const FIRST: [&str; 4] = ["seq", "kind", "time", "log"];
    const ELSEWHERE: [&str; 2] = ["blobs", "results"];
    let fields: serde_json::Map<String, Value> = serde_json::from_slice(bytes)?;
    let rest = fields
        .keys()
        .map(String::as_str)
        .filter(|name| !FIRST.contains(name) && !ELSEWHERE.contains(name));
    let names: Vec<&str> = FIRST.into_iter().chain(rest).collect();
    let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
    let mut field = |name: &str, value: &str| {
        let name = style.faint(&format!("{name:width$}"));
        writeln!(out, "{name}  {}", style::plain(value))
    };
    for name in names {
        field(name, &words(&fields[name]))?;
    }
    field("hash", &hex::encode(tree::hash_leaf(bytes)))?;
    Ok(())
}

/// A value as people read it: text, or a list of texts, as it is.
fn words(value: &Value) -> String {
    let list = value.as_array().map(|items| items.iter().map(Value::as_str));
    let list = list.and_then(Iterator::collect::<Option<Vec<_>>>);
    match (value.as_str(), list) {
        (Some(text), _) => text.to_owned(),
        (None, Some(texts)) => texts.join(", "),
        (None, None) => value.to_string(),
    }
}

/// What each test says of the whole snapshot, which its findings alone do not tell: an incomplete one can't pass.
fn print_results(out: &mut dyn Write, style: Style, evaluation: &EvaluationLeaf) -> Result<()> {
    let results: Vec<TestResult> = serde_json::from_value(evaluation.results.clone())?;
    let mut table = style.table(&["  TEST", "OUTCOME", "FINDINGS"]);
    for result in results {
        let counts = [
            (result.fail, "fail"),
            (result.unknown, "unknown"),
            (result.excepted, "excepted"),
            (result.pass, "pass"),
            (result.not_applicable, "not applicable"),
        ];
        let counts: Vec<_> = counts
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        table.add_row([
            Cell::new(format!("  {}", result.test)),
            style.outcome_cell(result.outcome),
            Cell::new(if counts.is_empty() {
                "none".to_owned()
            } else {
                counts.join(", ")
            }),
        ]);
    }
    write!(out, "\n{}\n{}", style.strong("results"), style::lines(&table))?;
    Ok(())
}

fn print_evidence(out: &mut dyn Write, style: Style, payload: &[u8]) -> Result<()> {
    let evidence: Value = serde_json::from_slice(payload)?;
    for resource in evidence["resources"].as_array().into_iter().flatten() {
        let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
        writeln!(
            out,
            "  {} {}",
            style.faint(&style::plain(&text("kind"))),
            style.strong(&style::plain(&text("id")))
        )?;
        for (name, value) in resource["attributes"].as_object().into_iter().flatten() {
            writeln!(
                out,
                "    {} = {}",
                style::plain(name),
                style::plain(&value.to_string())
            )?;
        }
        for (name, reason) in resource["unknown"].as_object().into_iter().flatten() {
            let reason = reason.as_str().unwrap_or_default();
            writeln!(
                out,
                "    {} {}: {}",
                style::plain(name),
                style.outcome(Outcome::Unknown),
                style::plain(reason)
            )?;
        }
    }
    Ok(())
}

fn print_provenance(out: &mut dyn Write, style: Style, payload: &[u8]) -> Result<()> {
    let provenance: Value = serde_json::from_slice(payload)?;
    let caller = provenance["caller"].to_string();
    writeln!(out, "  caller {}", style::plain(&caller))?;
    let completeness = &provenance["completeness"];
    let complete = if completeness["complete"] == true {
        "complete"
    } else {
        "incomplete"
    };
    writeln!(
        out,
        "  {complete}: {}",
        style::plain(completeness["basis"].as_str().unwrap_or_default())
    )?;
    let mut table = style.table(&["  CALL", "", "STATUS", "MS", "ITEMS"]);
    for call in provenance["calls"].as_array().into_iter().flatten() {
        let text = |name: &str| {
            let value = &call[name];
            style::plain(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        table.add_row([
            format!("  {}", text("service")),
            text("operation"),
            text("status"),
            text("duration_ms"),
            text("items"),
        ]);
    }
    write!(out, "{}", style::lines(&table))?;
    Ok(())
}

/// The numbered list of a population with its gaps, or what was drawn from one in the order of drawing.
fn print_listed(out: &mut dyn Write, style: Style, payload: &[u8]) -> Result<()> {
    let (gaps, items) = sealed::items(payload)?;
    for gap in gaps {
        let place = style::plain(&format!("{} of {}", gap.target, gap.source));
        let why = style::plain(&gap.why);
        writeln!(
            out,
            "  {} {place}  {} to {}: {why}",
            style.bad("gap"),
            gap.from,
            gap.to
        )?;
    }
    let mut table = style.table(&[
        "  N",
        "ID",
        "SOURCE",
        "TARGET",
        "TIME",
        "LAST SEEN",
        "GONE",
        "SNAPSHOT",
    ]);
    for item in items {
        table.add_row([
            format!("  {}", item.n),
            style::plain(&item.id),
            style::plain(&item.source),
            style::plain(&item.target),
            item.at.unwrap_or_default(),
            item.last_seen,
            item.gone.unwrap_or_default(),
            item.snapshot.to_string(),
        ]);
    }
    write!(out, "{}", style::lines(&table))?;
    Ok(())
}

/// The resources that an exception is for.
fn print_resources(out: &mut dyn Write, payload: &[u8]) -> Result<()> {
    let named: Value = serde_json::from_slice(payload)?;
    for id in named["resources"].as_array().into_iter().flatten() {
        writeln!(out, "  {}", style::plain(id.as_str().unwrap_or_default()))?;
    }
    Ok(())
}

fn print_findings(out: &mut dyn Write, style: Style, payload: &[u8]) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Findings {
        findings: Vec<Finding>,
    }
    let mut table = style.table(&["  TEST", "RESOURCE", "OUTCOME", "WHY"]);
    for finding in serde_json::from_slice::<Findings>(payload)?.findings {
        table.add_row([
            Cell::new(format!("  {}", finding.test)),
            Cell::new(style::plain(&finding.resource)),
            style.outcome_cell(finding.outcome),
            Cell::new(style::plain(&finding.reason)),
        ]);
    }
    write!(out, "{}", style::lines(&table))?;
    Ok(())
}
