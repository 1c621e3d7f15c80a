//! Which alerts are open, for `evidenced status`, and whether people were told.

use anyhow::Result;
use serde::Serialize;
use std::io::Write;

use super::super::style::{self, Style};
use crate::log::leaf::format_time;
use crate::log::store::{OpenAlert, Reader};

/// What goes on, and what waits.
#[derive(Serialize)]
pub(super) struct ShownAlerts {
    open: Vec<ShownAlert>,
    /// Messages that wait for their channels.
    waiting: u64,
}

/// An alert that goes on.
#[derive(Serialize)]
struct ShownAlert {
    /// The leaf that opened it.
    alert: u64,
    severity: String,
    event: &'static str,
    test: Option<String>,
    collector: Option<String>,
    source: Option<String>,
    targets: Vec<String>,
    /// When it was opened, or people were last told.
    told: String,
    acknowledged: bool,
}

pub(super) fn shown(reader: &Reader) -> Result<ShownAlerts> {
    let some = |text: String| (!text.is_empty()).then_some(text);
    let open = reader
        .open_alerts()?
        .into_iter()
        .map(|open: OpenAlert| ShownAlert {
            alert: open.seq,
            severity: open.severity,
            event: open.event.as_str(),
            test: some(open.test),
            collector: some(open.collector),
            source: some(open.source),
            targets: open
                .targets
                .into_iter()
                .filter(|target| !target.is_empty())
                .collect(),
            told: format_time(open.told),
            acknowledged: open.acknowledged,
        });
    Ok(ShownAlerts {
        open: open.collect(),
        waiting: reader.posted()?.len() as u64,
    })
}

pub(super) fn print(out: &mut dyn Write, style: Style, alerts: &ShownAlerts) -> Result<()> {
    if !alerts.open.is_empty() {
        let mut table = style.table(&["ALERT", "SEVERITY", "WHAT", "SOURCE", "ACKNOWLEDGED"]);
        for open in &alerts.open {
            let event = open.event.replace('_', " ");
            let what = match (&open.test, &open.collector) {
                (Some(test), _) => format!("{event}: {test}"),
                (None, Some(collector)) => format!("{event}: {collector}"),
                (None, None) => event,
            };
            table.add_row([
                open.alert.to_string(),
                open.severity.clone(),
                style::plain(&what),
                style::plain(open.source.as_deref().unwrap_or("-")),
                if open.acknowledged { "yes" } else { "no" }.to_owned(),
            ]);
        }
        write!(out, "{}", style::lines(&table))?;
        writeln!(out)?;
    }
    if alerts.waiting > 0 {
        let messages = style::count(alerts.waiting, "message waits", "messages wait");
        writeln!(
            out,
            "{} {messages} for a channel: `evidenced alert test CHANNEL` tells whether it answers.\n",
            style.bad("!")
        )?;
    }
    Ok(())
}
