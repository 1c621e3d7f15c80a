//! `evidenced show SEQ`: a leaf with its evidence, provenance and findings.

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::io::Write;

use super::exit::{Exit, UsageError};
use super::style::{self, Style};
use super::{Common, Format, print_json, setup};
use crate::control::{Finding, Outcome};
use crate::log::checkpoint::Checkpoint;
use crate::log::leaf::{BlobRef, Role};
use crate::log::store::Reader;
use crate::log::tree;

/// Show a leaf with its evidence, provenance and findings
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The leaf's position in the log
    seq: u64,
    /// Print only the payload of this blob: a role (evidence, raw, provenance, findings, plan, scope) or a digest
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
    /// JSON payloads as they are, others as text where they are UTF-8; absent if the store does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Value>,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let reader = setup::reader(common)?;
    let (seq, size) = (arguments.seq, reader.size()?);
    let Some(bytes) = reader.leaf_bytes(seq)? else {
        let last = size.saturating_sub(1);
        return Err(UsageError::error(
            format!("there is no leaf {seq}"),
            format!("the log holds leaves 0 to {last}"),
        ));
    };
    let leaf = reader.leaf(seq)?.context("the leaf is gone")?;
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
        Format::Text => print_text(out, &reader, &leaf.blobs, &bytes)?,
    }
    Ok(Exit::Well)
}

fn shown(reader: &Reader, blob: &BlobRef) -> Result<ShownBlob> {
    let payload = reader.payload(&blob.sha256)?.and_then(|payload| {
        let json = (blob.media_type == "application/json")
            .then(|| serde_json::from_slice(&payload).ok())
            .flatten();
        json.or_else(|| String::from_utf8(payload).ok().map(Value::String))
    });
    Ok(ShownBlob {
        role: blob.role.clone(),
        sha256: hex::encode(blob.sha256),
        size: blob.size,
        media_type: blob.media_type.clone(),
        payload,
    })
}

fn print_blobs(out: &mut dyn Write, reader: &Reader, blobs: &[BlobRef], wanted: &str) -> Result<Exit> {
    let role = |blob: &BlobRef| serde_json::to_value(&blob.role).is_ok_and(|role| role == wanted);
    let mut found = false;
    for blob in blobs
        .iter()
        .filter(|blob| role(blob) || hex::encode(blob.sha256) == wanted)
    {
        let payload = reader
            .payload(&blob.sha256)?
            .with_context(|| format!("the store no longer has blob {}", hex::encode(blob.sha256)))?;
        out.write_all(&payload)?;
        if payload.last() != Some(&b'\n') {
            writeln!(out)?;
        }
        found = true;
    }
    if found {
        return Ok(Exit::Well);
    }
    Err(UsageError::error(
        format!("the leaf names no blob {wanted:?}"),
        "run `evidenced show SEQ` to see which it names",
    ))
}

/// C2SP tlog-proof: the index, the audit path, and the checkpoint that it leads to.
fn print_proof(out: &mut dyn Write, reader: &Reader, seq: u64) -> Result<Exit> {
    let note = reader.checkpoint()?;
    let (text, _) = note
        .split_once("\n\n")
        .context("the newest checkpoint is malformed")?;
    let proof = reader.inclusion_proof(seq, Checkpoint::parse(text)?.size)?;
    let proof = proof.context("the newest checkpoint does not cover the leaf")?;
    writeln!(out, "c2sp.org/tlog-proof@v1\nindex {seq}")?;
    for hash in proof {
        writeln!(out, "{}", BASE64_STANDARD.encode(hash))?;
    }
    write!(out, "\n{note}")?;
    Ok(Exit::Well)
}

fn print_text(out: &mut dyn Write, reader: &Reader, blobs: &[BlobRef], bytes: &[u8]) -> Result<()> {
    let style = Style::of_stdout();
    let Value::Object(fields) = serde_json::from_slice(bytes)? else {
        return Ok(());
    };
    writeln!(
        out,
        "{}  {}",
        style.faint("leaf hash"),
        hex::encode(tree::hash_leaf(bytes))
    )?;
    for (name, value) in fields
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "blobs" | "results"))
    {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        writeln!(out, "{}  {value}", style.faint(name))?;
    }
    for blob in blobs {
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
            _ => writeln!(out, "  {}", style.faint("print it with --blob"))?,
        }
    }
    Ok(())
}

fn print_evidence(out: &mut dyn Write, style: Style, payload: &[u8]) -> Result<()> {
    let evidence: Value = serde_json::from_slice(payload)?;
    for resource in evidence["resources"].as_array().into_iter().flatten() {
        let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
        writeln!(
            out,
            "  {} {}",
            style.faint(&text("kind")),
            style.strong(&text("id"))
        )?;
        for (name, value) in resource["attributes"].as_object().into_iter().flatten() {
            writeln!(out, "    {name} = {value}")?;
        }
        for (name, reason) in resource["unknown"].as_object().into_iter().flatten() {
            let reason = reason.as_str().unwrap_or_default();
            writeln!(out, "    {name} {}: {reason}", style.outcome(Outcome::Unknown))?;
        }
    }
    Ok(())
}

fn print_provenance(out: &mut dyn Write, style: Style, payload: &[u8]) -> Result<()> {
    let provenance: Value = serde_json::from_slice(payload)?;
    writeln!(out, "  caller {}", provenance["caller"])?;
    let completeness = &provenance["completeness"];
    let complete = if completeness["complete"] == true {
        "complete"
    } else {
        "incomplete"
    };
    writeln!(
        out,
        "  {complete}: {}",
        completeness["basis"].as_str().unwrap_or_default()
    )?;
    let mut table = style.table(&["  CALL", "", "STATUS", "MS", "ITEMS"]);
    for call in provenance["calls"].as_array().into_iter().flatten() {
        let text = |name: &str| {
            call[name]
                .as_str()
                .map_or_else(|| call[name].to_string(), str::to_owned)
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

fn print_findings(out: &mut dyn Write, style: Style, payload: &[u8]) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Findings {
        findings: Vec<Finding>,
    }
    let mut table = style.table(&["  TEST", "RESOURCE", "OUTCOME", "WHY"]);
    for finding in serde_json::from_slice::<Findings>(payload)?.findings {
        table.add_row([
            format!("  {}", finding.test),
            finding.resource,
            style.outcome(finding.outcome),
            finding.reason,
        ]);
    }
    write!(out, "{}", style::lines(&table))?;
    Ok(())
}
