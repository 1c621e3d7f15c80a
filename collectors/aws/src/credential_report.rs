//! The credential report: a CSV that AWS makes at most every four hours.

use chrono::{DateTime, SecondsFormat, Utc};
use std::collections::BTreeMap;

/// The row of the root user; no user can have this name.
const ROOT: &str = "<root_account>";

/// A report as read.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The root user's row.
    pub(crate) root: Option<Row>,
    /// The users' rows, by ARN.
    pub(crate) users: BTreeMap<String, Row>,
}

/// One row: columns by name.
#[derive(Debug)]
pub(crate) struct Row(BTreeMap<String, String>);

/// Reads a report; an error says what it lacks.
pub(crate) fn read(csv: &[u8]) -> Result<Report, String> {
    let mut reader = csv::Reader::from_reader(csv);
    let names = reader
        .headers()
        .map_err(|_| "the credential report is no CSV".to_owned())?
        .clone();
    for column in ["user", "arn", "password_enabled", "mfa_active"] {
        if !names.iter().any(|name| name == column) {
            return Err(format!("the credential report has no column {column}"));
        }
    }
    let mut report = Report::default();
    for record in reader.records() {
        let record = record.map_err(|_| "a row of the credential report can't be read".to_owned())?;
        let cells = names.iter().zip(record.iter());
        let row = Row(cells
            .map(|(name, cell)| (name.to_owned(), cell.to_owned()))
            .collect());
        if row.text("user")? == ROOT {
            report.root = Some(row);
        } else {
            report.users.insert(row.text("arn")?.to_owned(), row);
        }
    }
    Ok(report)
}

impl Row {
    pub(crate) fn text(&self, column: &str) -> Result<&str, String> {
        self.0
            .get(column)
            .map(String::as_str)
            .filter(|cell| !cell.is_empty())
            .ok_or_else(|| format!("the credential report has no {column}"))
    }

    /// Whether something is on; anything but yes or no is unknown.
    pub(crate) fn flag(&self, column: &str) -> Result<bool, String> {
        match self.text(column)? {
            cell if cell.eq_ignore_ascii_case("true") => Ok(true),
            cell if cell.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(format!(
                "the credential report says neither true nor false for {column}"
            )),
        }
    }

    /// A time; none where the report has none to tell. `no_information` is a password that was not used since October
    /// 2014, when AWS began to note it.
    pub(crate) fn time(&self, column: &str) -> Result<Option<DateTime<Utc>>, String> {
        match self.text(column)? {
            "N/A" | "no_information" => Ok(None),
            cell => DateTime::parse_from_rfc3339(cell)
                .map(|time| Some(time.to_utc()))
                .map_err(|_| format!("the credential report has no time for {column}")),
        }
    }
}

/// A time as resources hold it.
pub(crate) fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "user,arn,user_creation_time,password_enabled,password_last_used,mfa_active";

    #[test]
    fn the_root_user_is_no_user() {
        let csv = format!(
            "{HEADER}\n<root_account>,arn:aws:iam::123456789012:root,2020-01-01T00:00:00+00:00,not_supported,no_information,true\n\
             alice,arn:aws:iam::123456789012:user/alice,2020-01-01T00:00:00+00:00,true,2026-11-20T08:00:00+00:00,false\n"
        );
        let report = read(csv.as_bytes()).unwrap();
        assert_eq!(report.users.len(), 1);
        let root = report.root.unwrap();
        assert_eq!(root.flag("mfa_active"), Ok(true));
        assert!(root.flag("password_enabled").is_err(), "not_supported is neither");
        assert_eq!(root.time("password_last_used"), Ok(None));
        let alice = &report.users["arn:aws:iam::123456789012:user/alice"];
        assert_eq!(
            text(alice.time("password_last_used").unwrap().unwrap()),
            "2026-11-20T08:00:00Z"
        );
        assert!(
            alice.time("access_key_1_last_rotated").is_err(),
            "a column that is not there is unknown"
        );
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert!(read(b"").is_err());
        assert!(read(b"user,arn\na,b\n").is_err());
        assert!(read(format!("{HEADER}\nalice,only two\n").as_bytes()).is_err());
    }
}
