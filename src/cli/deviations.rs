//! `evidenced deviations`: each stretch in which a test failed on a resource, and what was done about it.

use anyhow::Result;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;

use super::exit::{Exit, UsageError};
use super::select::Within;
use super::{Common, Format, print_json, setup};
use crate::config::closest;
use crate::control::TestId;
use crate::deviations::{self, Deviations, Recorded, Served};
use crate::log::start;
use crate::log::store::Reader;
use crate::period::deviation::Deviation;
use crate::period::response::Response;
use crate::plan::Plan;

mod json;
mod overdue;
mod text;

use overdue::ShownOverdue;

/// Each stretch in which a test failed on a resource, and what was done about it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  evidenced deviations --open
  evidenced deviations --period 2026-h1
  evidenced deviations --test s3-not-public --format json

Of a time, those that lasted into it are listed. Every one is, also one that was mended within the
hour, and one that an exception covers, for it still failed. Times are those of looks. Between two
looks nothing was observed: a stretch lasted at least from the first look that found it to the last,
and at most from the look before to the one behind. Nothing is said of times at which nobody looked.

With --format json, `deviations` holds one for each test and resource:
  test, severity, title, controls [{control, owner}], collector, source, target, resource
  state       open, excepted, mended, gone, not_applicable or event
  reason      what the test said when it first failed
  interval    of an event, {from, to}
  before      what was seen last before: state (pass, gone, not_applicable), time, snapshot, …
  first_fail, last_fail, end    the same of the looks that found it, and of the one that ended it;
              `detected` is when that was judged
  since_then  unknown, not_tested or exception_ended: why last_fail does not tell how it stands now
  at_least_seconds, at_most_seconds
  notified    the first message that a channel took: seq, time, alert, channel
  acknowledged [{seq, time, alert, note, recorded_by, …}], ticket, cause, correction, response
  exceptions  [{seq, first, last, reason, requested_by, approved_by, recorded_by, expires, …}]
Beside it, `manual` holds one for each due date of evidence that people owe whose grace time was over:
  control, owner, due, due_day, state (open, given or owed_no_more), from, to, attachment, and what
  was done about it as above, from notified to response
and `observed` says what it rests on: evaluations, first, last, unreadable.")]
pub(super) struct Arguments {
    #[command(flatten)]
    within: Within,
    /// Only of this test
    #[arg(long, value_name = "TEST")]
    test: Option<String>,
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only those that go on, approved or not
    #[arg(long)]
    open: bool,
}

/// All that is shown.
struct Told<'a> {
    reader: &'a Reader,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    history: &'a Deviations,
    listed: Vec<Line<'a>>,
    served: &'a HashMap<TestId, Served>,
    exceptions: &'a BTreeMap<u64, Recorded>,
    /// Evidence that people owed and did not give in time; none where a test or source was asked for.
    manual: Vec<ShownOverdue>,
}

/// A deviation, and what was done about it.
struct Line<'a> {
    deviation: &'a Deviation,
    response: Response,
}

pub(super) fn run(common: &Common, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit> {
    let (from, to) = arguments.within.instants(common)?;
    let reader = setup::reader(common)?;
    start::check_end(&reader)?;
    check_names(&reader, arguments)?;
    let mut history = deviations::read(&reader, arguments.source.as_deref())?;
    history.deviations.retain(|deviation| {
        deviation.touches(from, to)
            && (!arguments.open || deviation.goes_on())
            && arguments
                .test
                .as_ref()
                .is_none_or(|test| test == deviation.test.as_str())
    });
    let served = deviations::served(&reader, &history.deviations)?;
    let mut exceptions = BTreeMap::new();
    let spans = history
        .deviations
        .iter()
        .flat_map(|deviation| &deviation.excepted);
    for seq in spans.filter_map(|span| span.exception).collect::<BTreeSet<_>>() {
        if let Some(recorded) = deviations::recorded(&reader, seq)? {
            exceptions.insert(seq, recorded);
        }
    }
    let listed = history.deviations.iter().map(|deviation| Line {
        deviation,
        response: history.responses.to(deviation),
    });
    let told = Told {
        reader: &reader,
        from,
        to,
        listed: listed.collect(),
        served: &served,
        exceptions: &exceptions,
        manual: if arguments.test.is_none() && arguments.source.is_none() {
            overdue::shown(&reader, &history.responses, from, to, arguments.open)?
        } else {
            Vec::new()
        },
        history: &history,
    };
    for seq in leaves(&told) {
        setup::committed_leaf(&reader, seq)?;
    }
    match common.format {
        Format::Json => print_json(out, &json::shown(&told))?,
        Format::Text => {
            text::print(out, &told)?;
            overdue::print(out, &told.manual)?;
        }
    }
    Ok(Exit::Well)
}

/// A test or source that nothing was ever planned for is a slip, and must not look like one without deviations.
fn check_names(reader: &Reader, arguments: &Arguments) -> Result<()> {
    if arguments.test.is_none() && arguments.source.is_none() {
        return Ok(());
    }
    let (mut tests, mut sources) = (BTreeSet::new(), BTreeSet::new());
    for seq in reader.of_kind("plan", 0)? {
        if let Ok(lists) = Plan::sealed_lists(reader, seq) {
            tests.extend(lists.rules.tests.into_iter().map(|test| test.id.to_string()));
            sources.extend(lists.sources.into_iter().map(|source| source.name));
        }
    }
    for (what, given, known) in [
        ("test", &arguments.test, &tests),
        ("source", &arguments.source, &sources),
    ] {
        if let Some(given) = given.as_ref().filter(|given| !known.contains(*given)) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let help = match closest(given, &known) {
                Some(close) => format!("did you mean {close}?"),
                None if known.is_empty() => "nothing has been collected yet".to_owned(),
                None => format!("there are: {}", known.join(", ")),
            };
            return Err(UsageError::error(
                format!("no plan in the log has a {what} {given:?}"),
                help,
            ));
        }
    }
    Ok(())
}

/// The leaves that what is shown speaks from.
fn leaves(told: &Told<'_>) -> BTreeSet<u64> {
    let mut leaves: BTreeSet<u64> = told.exceptions.keys().copied().collect();
    leaves.extend(overdue::leaves(&told.manual));
    for line in &told.listed {
        let deviation = line.deviation;
        let looks = [
            Some(deviation.first),
            Some(deviation.last),
            deviation.before.map(|before| before.look),
            deviation.end.as_ref().map(|end| end.look),
        ];
        let looks = looks.into_iter().flatten();
        leaves.extend(looks.flat_map(|look| [look.snapshot, look.evaluation]));
        leaves.extend(line.response.notified.iter().map(|told| told.seq));
        leaves.extend(line.response.acknowledged.iter().map(|said| said.seq));
    }
    leaves
}
