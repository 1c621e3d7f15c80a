//! `evidenced reperform`: judge every snapshot in a bundle again, and compare with what was recorded.

use anyhow::Result;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

use super::exit::Exit;
use super::style::{self, Style};
use super::{Common, Format, print_json, verify};
use crate::bundle::archive::Archive;
use crate::bundle::reperform::{Difference, Performed, reperform};
use crate::bundle::verify::Held;

/// Judge every snapshot in a bundle again, and compare with what was recorded
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced reperform bundle.zip
  evidenced reperform bundle/ --format json

The bundle is verified first. Then each snapshot is judged again from its evidence, by the tests of
the time and the exceptions that stood before it, and every result and finding is compared. What is
not in the bundle is named, and never counts as the same. No configuration is needed.

With --format json: same (of all that could be performed), evaluations {same, different,
not_performed, unjudged}, findings (compared), differences [{seq, snapshot, test, resource,
recorded, performed}], not_performed [{seq, why}], unjudged [seq].

Exit codes: 0 the same; 4 not, or the bundle does not verify.")]
pub(super) struct Arguments {
    /// The bundle: a zip archive or a folder
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let verified = verify::bundle(&arguments.bundle, &Held::default())?;
    let Some(manifest) = verified.manifest.as_ref().filter(|_| verified.report.intact) else {
        verify::show(common, out, &verified)?;
        return Ok(Exit::NotIntact);
    };
    let bar = verify::progress_bar("{bar:40} {human_pos} of {human_len} leaves, {eta} left");
    let archive = Archive::open(&arguments.bundle)?;
    let performed = reperform(&archive, manifest.counts.leaves, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let performed = performed?;
    match common.format {
        Format::Json => print_json(out, &told(&performed))?,
        Format::Text => print_text(out, &manifest.origin, &performed)?,
    }
    Ok(if performed.different == 0 {
        Exit::Well
    } else {
        Exit::NotIntact
    })
}

fn told(performed: &Performed) -> serde_json::Value {
    let difference = |difference: &Difference| {
        json!({
            "seq": difference.seq,
            "snapshot": difference.snapshot,
            "test": difference.test,
            "resource": difference.resource,
            "recorded": difference.recorded,
            "performed": difference.performed,
        })
    };
    let not = |(seq, why): &(u64, String)| json!({ "seq": seq, "why": why });
    json!({
        "same": performed.different == 0,
        "evaluations": {
            "same": performed.same,
            "different": performed.different,
            "not_performed": performed.not_performed.len(),
            "unjudged": performed.unjudged.len(),
        },
        "findings": performed.findings,
        "differences": performed.differences.iter().map(difference).collect::<Vec<_>>(),
        "not_performed": performed.not_performed.iter().map(not).collect::<Vec<_>>(),
        "unjudged": performed.unjudged,
    })
}

fn print_text(out: &mut dyn Write, origin: &str, performed: &Performed) -> Result<()> {
    let style = Style::of_stdout();
    let evaluations = |count| style::count(count, "evaluation", "evaluations");
    let (mark, verdict) = if performed.different > 0 {
        let differ = format!("{} DIFFER", evaluations(performed.different));
        (style.bad("✗"), style.bad(&differ))
    } else if performed.same == 0 {
        (style.bad("·"), "nothing could be performed again".to_owned())
    } else {
        (style.good("✓"), "the same".to_owned())
    };
    writeln!(
        out,
        "{mark} {}: {} performed again with {}, {verdict}",
        style.strong(origin),
        evaluations(performed.same + performed.different),
        style::count(performed.findings, "finding", "findings"),
    )?;
    for difference in &performed.differences {
        let what = [&difference.test, &difference.resource];
        let what: Vec<String> = what
            .into_iter()
            .flatten()
            .map(|name| style::plain(name))
            .collect();
        writeln!(
            out,
            "  evaluation {} of snapshot {}, {}: recorded {}, performed {}",
            difference.seq,
            difference.snapshot,
            what.join(" on "),
            style::plain(&difference.recorded),
            style::plain(&difference.performed)
        )?;
    }
    let not = &performed.not_performed;
    if !not.is_empty() {
        writeln!(
            out,
            "  {} could not be performed again:",
            evaluations(not.len() as u64)
        )?;
    }
    for (seq, why) in not {
        writeln!(out, "    evaluation {seq}: {}", style::plain(why))?;
    }
    if !performed.unjudged.is_empty() {
        let unjudged = &performed.unjudged;
        let count = style::count(unjudged.len() as u64, "snapshot", "snapshots");
        writeln!(out, "  {count} never judged: {unjudged:?}")?;
    }
    Ok(())
}
