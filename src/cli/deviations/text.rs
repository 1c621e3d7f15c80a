//! Deviations for people: by test, and those of one stretch together.

use anyhow::Result;
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::io::Write;

use super::{Line, Told};
use crate::cli::style::{self, Style};
use crate::period::deviation::{Deviation, Doubt, Look, Other, Span, State};
use crate::period::response::Said;

/// Resources of one stretch that are listed; JSON lists all.
const SHOWN: usize = 12;

/// How wide the names of the lines are.
const NAME: usize = 12;

/// What is told, a field in a line, as wide as the terminal.
struct Page<'a> {
    out: &'a mut dyn Write,
    style: Style,
}

pub(super) fn print(out: &mut dyn Write, told: &Told<'_>) -> Result<()> {
    let mut page = Page {
        out,
        style: Style::of_stdout(),
    };
    page.summary(told)?;
    let mut last = None;
    for group in groups(&told.listed) {
        let test = &group[0].deviation.test;
        if last != Some(test) {
            page.heading(told, group[0])?;
            last = Some(test);
        }
        page.group(told, &group)?;
    }
    Ok(())
}

/// Lines of one test and source that differ in nothing but target, resource and what the test said, together.
fn groups<'l, 'a>(listed: &'l [Line<'a>]) -> Vec<Vec<&'l Line<'a>>> {
    let mut groups: Vec<Vec<&Line<'_>>> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for line in listed {
        let place = *places.entry(alike(line)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(line),
            None => groups.push(vec![line]),
        }
    }
    groups
}

/// What lines have in common that are told together: all that is told once, to the minute.
fn alike(line: &Line<'_>) -> String {
    let deviation = line.deviation;
    let minute = |look: Look| style::minute(look.at)[..16].to_owned();
    let scope = &deviation.scope;
    let before = deviation.before.map(|before| (before.state, minute(before.look)));
    let end = deviation.end.as_ref();
    let end = end.map(|end| (end.state, minute(end.look), &end.reason));
    let spans: Vec<_> = deviation
        .excepted
        .iter()
        .map(|span| (span.exception, minute(span.first), minute(span.last)))
        .collect();
    let notified = line.response.notified.as_ref().map(|told| told.seq);
    let said: Vec<u64> = line.response.acknowledged.iter().map(|said| said.seq).collect();
    let times = (
        deviation.events_from,
        minute(deviation.first),
        minute(deviation.last),
    );
    format!(
        "{:?}",
        (
            (&deviation.test, &scope.collector, &scope.source),
            (before, times, end, deviation.since_then),
            (spans, notified, said),
        )
    )
}

impl Page<'_> {
    fn summary(&mut self, told: &Told<'_>) -> Result<()> {
        let observed = match told.history.span {
            Some((first, last)) => format!(
                "{} from {} to {}",
                style::count(told.history.evaluations, "evaluation", "evaluations"),
                style::minute(first),
                style::minute(last)
            ),
            None => "nothing: nothing has been judged yet".to_owned(),
        };
        let mut states: BTreeMap<State, usize> = BTreeMap::new();
        for line in &told.listed {
            *states.entry(line.deviation.state()).or_default() += 1;
        }
        let states: Vec<_> = states
            .into_iter()
            .map(|(state, count)| format!("{count} {}", words(state)))
            .collect();
        let count = match told.listed.len() as u64 {
            0 => "No deviation was found".to_owned(),
            count => {
                let count = style::count(count, "deviation", "deviations");
                format!("{}: {}", self.style.strong(&count), states.join(", "))
            }
        };
        writeln!(self.out, "{count}. Observed: {observed}.")?;
        for seq in &told.history.unreadable {
            let bad = self.style.bad("!");
            let what = "can't be read any more: what they told is not listed";
            writeln!(self.out, "{bad} the findings of evaluation {seq} {what}")?;
        }
        let note = "Times are of looks. Where nobody looked, nothing is known: `evidenced log --kind missed --kind failure`.";
        writeln!(self.out, "{}", self.style.faint(note))?;
        Ok(())
    }

    fn heading(&mut self, told: &Told<'_>, line: &Line<'_>) -> Result<()> {
        let test = &line.deviation.test;
        let name = self.style.strong(test.as_str());
        let Some(served) = told.served.get(test) else {
            writeln!(self.out, "\n{name}")?;
            return Ok(());
        };
        writeln!(
            self.out,
            "\n{name} ({}): {}",
            served.severity,
            style::plain(&served.title)
        )?;
        let controls: Vec<_> = served
            .controls
            .iter()
            .map(|(control, owner)| format!("{control}, owner {}", style::plain(owner)))
            .collect();
        let controls = match controls.as_slice() {
            [] => "serves no control".to_owned(),
            controls => format!("serves {}", controls.join("; ")),
        };
        writeln!(self.out, "{}", self.style.faint(&controls))?;
        Ok(())
    }

    fn group(&mut self, told: &Told<'_>, group: &[&Line<'_>]) -> Result<()> {
        let (deviation, response) = (group[0].deviation, &group[0].response);
        let scope = &deviation.scope;
        let state = match deviation.state() {
            State::Open => self.style.bad("open"),
            State::Event => self.style.bad("event"),
            State::Mended => self.style.good("mended"),
            state => self.style.strong(words(state)),
        };
        let on = style::count(group.len() as u64, "resource", "resources");
        writeln!(
            self.out,
            "\n  {state}  {} of {}, {on}",
            scope.collector,
            style::plain(&scope.source)
        )?;
        self.resources(group)?;
        self.times(deviation)?;
        match &response.notified {
            Some(told) => {
                let (channel, alert) = (style::plain(&told.channel), told.alert);
                self.field(
                    "notified",
                    &format!("{}  by {channel}, alert {alert}", style::minute(told.time)),
                )?;
            }
            None => self.field("notified", "nobody")?,
        }
        if response.acknowledged.is_empty() {
            self.field("acknowledged", "by nobody")?;
        }
        for said in &response.acknowledged {
            self.field("acknowledged", &acknowledged(said))?;
        }
        let texts = [
            ("cause", &response.cause),
            ("correction", &response.correction),
            ("response", &response.response),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                self.field(name, &style::plain(text))?;
            }
        }
        for span in &deviation.excepted {
            let mut name = "exception";
            for line in exception(told, span) {
                self.field(std::mem::take(&mut name), &line)?;
            }
        }
        Ok(())
    }

    fn resources(&mut self, group: &[&Line<'_>]) -> Result<()> {
        for line in group.iter().take(SHOWN) {
            let deviation = line.deviation;
            let (target, resource) = (
                style::plain(&deviation.scope.target),
                style::plain(&deviation.resource),
            );
            let reason = style::plain(&deviation.reason);
            let name = if target == resource {
                resource
            } else {
                format!("{target}: {resource}")
            };
            let text = format!("{name}  {reason}");
            self.wrapped(4, &text)?;
        }
        if group.len() > SHOWN {
            let more = group.len() - SHOWN;
            writeln!(self.out, "    … and {more} more: --format json lists all")?;
        }
        Ok(())
    }

    fn times(&mut self, deviation: &Deviation) -> Result<()> {
        let first = deviation.first;
        if let Some(from) = deviation.events_from {
            let (from, to) = (style::minute(from), style::minute(first.at));
            self.field("happened", &format!("between {from} and {to}"))?;
            return self.field("found", &found(first));
        }
        let (before, what) = match deviation.before {
            Some(before) => {
                let what = match before.state {
                    Other::Passes => "last pass",
                    Other::Gone => "not there",
                    Other::NotApplicable => "not applied",
                };
                (
                    format!(
                        "{}  snapshot {}",
                        style::minute(before.look.at),
                        before.look.snapshot
                    ),
                    what,
                )
            }
            None => ("never observed before it failed".to_owned(), "last pass"),
        };
        self.field(what, &before)?;
        self.field("first fail", &found(first))?;
        if deviation.last != first || deviation.end.is_none() {
            let last = deviation.last;
            let since = match deviation.since_then {
                Some(Doubt::Unknown) => "; since then nobody can tell",
                Some(Doubt::NotTested) => "; since then the test is not run on it",
                Some(Doubt::ExceptionEnded) => "; its exception has ended since",
                None => "",
            };
            let seen = format!("{}  snapshot {}{since}", style::minute(last.at), last.snapshot);
            self.field("last fail", &seen)?;
        }
        if let Some(end) = &deviation.end {
            let what = match end.state {
                Other::Passes => "mended",
                Other::Gone => "gone",
                Other::NotApplicable => "not applied",
            };
            let how = match end.state {
                Other::Passes => ", the first that passes".to_owned(),
                Other::Gone => ", complete, does not hold it any more".to_owned(),
                Other::NotApplicable => format!(": {}", style::plain(&end.reason)),
            };
            let (time, snapshot) = (style::minute(end.look.at), end.look.snapshot);
            self.field(what, &format!("{time}  snapshot {snapshot}{how}"))?;
        }
        let name = if deviation.end.is_none() {
            "lasts"
        } else {
            "lasted"
        };
        self.field(name, &lasted(deviation))
    }

    fn field(&mut self, name: &str, value: &str) -> Result<()> {
        let label = self.style.faint(&format!("{name:NAME$}"));
        let lines = lines(value, room(NAME + 6));
        for (number, line) in lines.iter().enumerate() {
            if number == 0 {
                writeln!(self.out, "    {label}  {line}")?;
            } else {
                writeln!(self.out, "{:1$}{line}", "", NAME + 6)?;
            }
        }
        Ok(())
    }

    fn wrapped(&mut self, indent: usize, text: &str) -> Result<()> {
        for (number, line) in lines(text, room(indent + 4)).iter().enumerate() {
            let indent = if number == 0 { indent } else { indent + 4 };
            writeln!(self.out, "{:indent$}{line}", "")?;
        }
        Ok(())
    }
}

/// How many characters stand behind an indent; none where lines have no end.
fn room(indent: usize) -> Option<usize> {
    style::width().map(|width| width.saturating_sub(indent))
}

fn words(state: State) -> &'static str {
    match state {
        State::NotApplicable => "no longer applicable",
        state => state.as_str(),
    }
}

fn found(look: Look) -> String {
    let (time, judged) = (style::minute(look.at), style::minute(look.judged));
    let (snapshot, evaluation) = (look.snapshot, look.evaluation);
    format!("{time}  snapshot {snapshot}; detected {judged}, evaluation {evaluation}")
}

fn acknowledged(said: &Said) -> String {
    let (time, what) = (style::minute(said.time), &said.what);
    let ticket = what
        .ticket
        .as_ref()
        .map_or_else(String::new, |ticket| format!(" ({})", style::plain(ticket)));
    let (by, note) = (style::plain(&what.recorded_by), style::plain(&what.note));
    format!("{time}  by {by}: {note}{ticket}")
}

/// What it is, who stands for it, and what it covered: a line each.
fn exception(told: &Told<'_>, span: &Span) -> Vec<String> {
    let (first, last) = (style::minute(span.first.at), style::minute(span.last.at));
    let covered = if span.first == span.last {
        format!("covered the look of {first}")
    } else {
        format!("covered looks from {first} to {last}")
    };
    let Some((seq, recorded)) = span
        .exception
        .and_then(|seq| Some((seq, told.exceptions.get(&seq)?)))
    else {
        return vec!["it can't be read any more".to_owned(), covered];
    };
    let exception = &recorded.exception;
    let ticket = exception
        .ticket
        .as_ref()
        .map_or_else(String::new, |ticket| format!(" ({})", style::plain(ticket)));
    let [reason, asked, approved, wrote] = [
        &exception.reason,
        &exception.requested_by,
        &exception.approved_by,
        &exception.recorded_by,
    ]
    .map(|text| style::plain(text));
    let (end, at) = (style::minute(exception.expires), style::minute(recorded.time));
    vec![
        format!("{seq}, until {end}: {reason}{ticket}"),
        format!("requested by {asked}, approval asserted by {approved}, recorded by {wrote} {at}"),
        covered,
    ]
}

/// What was observed of its length, and what is inferred.
fn lasted(deviation: &Deviation) -> String {
    let least = if deviation.first == deviation.last {
        "seen once".to_owned()
    } else if deviation.at_least() < TimeDelta::minutes(1) {
        "seen for under a minute".to_owned()
    } else {
        format!("at least {}", length(deviation.at_least()))
    };
    match deviation.at_most() {
        Some(most) => format!("{least}; at most {}, between the looks around it", length(most)),
        None if deviation.end.is_none() => format!("{least} so far"),
        None => format!("{least}; nobody looked before, so it may have lasted longer"),
    }
}

/// In the two largest units.
fn length(length: TimeDelta) -> String {
    let minutes = u64::try_from(length.num_minutes()).unwrap_or_default();
    let (days, hours) = (minutes / 1440, minutes / 60 % 24);
    let parts = match (days, hours, minutes % 60) {
        (0, 0, 0) => return "under a minute".to_owned(),
        (0, hours, minutes) => [(hours, "hour", "hours"), (minutes, "minute", "minutes")],
        (days, hours, _) => [(days, "day", "days"), (hours, "hour", "hours")],
    };
    let parts: Vec<_> = parts
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| style::count(*count, one, many))
        .collect();
    parts.join(" ")
}

/// A text in lines of at most so many characters, where a word allows it.
fn lines(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width.filter(|width| *width >= 20) else {
        return vec![text.to_owned()];
    };
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let length = lines[last].chars().count() + 1 + word.chars().count();
        if lines[last].is_empty() {
            lines[last].push_str(word);
        } else if length <= width {
            lines[last].push(' ');
            lines[last].push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_told_in_its_two_largest_units() {
        let told = |minutes| length(TimeDelta::minutes(minutes));
        assert_eq!(told(0), "under a minute");
        assert_eq!(told(1), "1 minute");
        assert_eq!(told(60), "1 hour");
        assert_eq!(told(135), "2 hours 15 minutes");
        assert_eq!(told(2 * 1440 + 61), "2 days 1 hour");
        assert_eq!(told(-5), "under a minute", "a clock that was set back");
    }

    #[test]
    fn a_long_text_goes_on_in_the_next_line() {
        let text = "a text of some length that goes on";
        assert_eq!(lines(text, Some(20)), ["a text of some", "length that goes on"]);
        assert_eq!(lines(text, None), [text]);
        assert_eq!(lines("averylongword-without-an-end x", Some(20)).len(), 2);
    }
}
