//! What a period's [`Summary`], and the populations of its time, look like to people and to programs: a page, tables, an OSCAL document
//! and OCSF findings.
//!
//! Pure: the same summary gives the same bytes. Reads no log, no clock and no file, and never judges: that a test passed is
//! evidence, and what follows from it is the auditor's to say.

use crate::populations::handed::Handed;
use crate::summary::Summary;

mod listed;
mod lists;
mod manual;
mod ocsf;
mod oscal;
mod page;
mod populations;
mod strip;
mod tables;
mod words;

pub use ocsf::findings;
pub use oscal::assessment_results;
pub use page::html;
pub use tables::tables;

/// A report can't be made, which is a fault of ours.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The page's template does not fit what it is given.
    #[error("the page can't be made")]
    Page(#[from] minijinja::Error),
    /// Something has no JSON.
    #[error("the summary can't be written as JSON")]
    Json(#[from] serde_json::Error),
    /// A table took no more.
    #[error("a table can't be made")]
    Table(#[from] std::io::Error),
}

/// Everything that a period is handed over as: each file's path, and its bytes.
pub fn files(summary: &Summary, handed: Handed) -> Result<Vec<(String, Vec<u8>)>, ReportError> {
    let mut files = vec![
        ("report.html".to_owned(), html(summary, &handed)?.into_bytes()),
        ("period.json".to_owned(), pretty(summary)?),
    ];
    let tables = tables(summary)?.into_iter();
    files.extend(tables.map(|(name, table)| (format!("csv/{name}"), table)));
    files.push((
        "oscal/assessment-results.json".to_owned(),
        pretty(&assessment_results(summary))?,
    ));
    files.push((
        "ocsf/compliance-findings.jsonl".to_owned(),
        lines(&findings(summary)),
    ));
    files.extend(lists::files(summary, handed)?);
    Ok(files)
}

fn pretty(value: &impl serde::Serialize) -> Result<Vec<u8>, ReportError> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn lines(values: &[serde_json::Value]) -> Vec<u8> {
    let lines = values.iter().map(|value| format!("{value}\n"));
    lines.collect::<String>().into_bytes()
}
